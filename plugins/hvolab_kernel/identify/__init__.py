# SPDX-License-Identifier: GPL-2.0-only
"""Identification of a kernel's HVO: features, variant, struct page layout."""
