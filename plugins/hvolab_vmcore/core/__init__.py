# SPDX-License-Identifier: GPL-2.0-only
"""Core files: headers, notes, VMCOREINFO, memory, and page tables."""
