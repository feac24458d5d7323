# SPDX-License-Identifier: GPL-2.0-only
"""Scan of a core: huge pages, vmemmap pages, frames with two owners, and findings."""
