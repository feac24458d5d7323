# SPDX-License-Identifier: GPL-2.0-only
"""Judgment of a boot: rules for what the kernel reports, replays, and the result as data."""
