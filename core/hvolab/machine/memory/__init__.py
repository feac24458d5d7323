# SPDX-License-Identifier: GPL-2.0-only
"""Physical memory, and the page tables in it."""
