# SPDX-License-Identifier: GPL-2.0-only
"""Struct pages: their layout, access to them, lists through them, and per-frame flags."""
