# SPDX-License-Identifier: GPL-2.0-only
"""Symbols by vmlinux-to-elf, for layouts of kallsyms that hvolab's own reader does not know; forty times as slow.

It is in the extra `kernel-fallback`, since its installation needs a C compiler.
"""

from __future__ import annotations

import logging

import numpy as np

from hvolab_vmlinux.symbols.table import SymbolTable


def symbols_by_vmlinux_to_elf(content: bytes) -> SymbolTable | None:
    """Return the symbols; None where vmlinux-to-elf finds none, or is not installed."""
    try:
        from vmlinux_to_elf.core.kallsyms import KallsymsFinder  # noqa: PLC0415 - optional, and slow to import
    except ImportError:
        return None
    logging.disable(logging.ERROR)  # it logs on the root logger
    try:
        found = KallsymsFinder(content, bit_size=64)
    except Exception:  # noqa: BLE001 - its own errors have no common root, and damaged images make it raise any other
        return None
    finally:
        logging.disable(logging.NOTSET)
    symbols = [one for one in found.symbols if one.name and 0 <= one.virtual_address < 1 << 64]
    if not symbols:
        return None
    return SymbolTable.of(
        np.array([one.virtual_address for one in symbols], np.uint64),
        np.array([ord(one.symbol_type.value) | (0 if one.is_global else 0x20) for one in symbols], np.uint8),
        b"".join(one.name.encode("latin-1", "replace") + b"\0" for one in symbols),
    )
