# SPDX-License-Identifier: GPL-2.0-only
"""Savings of HVO: in a dump, on a running machine, and by size of huge page, granule and memory."""
