# SPDX-License-Identifier: GPL-2.0-only
"""Wrappings of a kernel image: files, compressions, bzImage and EFI zboot."""
