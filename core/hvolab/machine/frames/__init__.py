# SPDX-License-Identifier: GPL-2.0-only
"""Frames: the page allocator, zones, free lists, and allocations that fail on request."""
