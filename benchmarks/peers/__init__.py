# SPDX-License-Identifier: GPL-2.0-only
"""Readers of dumps over the dumps of `hvolab torture`: which of them read what, and give the right answers."""
