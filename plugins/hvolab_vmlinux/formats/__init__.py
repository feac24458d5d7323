# SPDX-License-Identifier: GPL-2.0-only
"""Formats of an unwrapped kernel: ELF headers, link address of flat images, relocations."""
