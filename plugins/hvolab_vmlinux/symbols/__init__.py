# SPDX-License-Identifier: GPL-2.0-only
"""Symbols of a kernel: the table, and kallsyms, from which an image without an ELF symbol table gets it."""
