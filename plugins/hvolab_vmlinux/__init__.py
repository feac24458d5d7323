# SPDX-License-Identifier: GPL-2.0-only
"""Reader of Linux kernel images: containers, ELF, symbols, types, relocations. Knows nothing of HVO."""
