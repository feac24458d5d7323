# SPDX-License-Identifier: GPL-2.0-only
"""Formats of dumps that are read, by name, in the order in which they are tried."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hvolab_vmcore.files.dump import Dump, DumpInput, DumpReader, DumpReaders


def _read(module: str, name: str, source: DumpInput) -> Dump | None:
    """Call a reader; its module is imported by the first call, as only commands that read a dump need it."""
    read: DumpReader = getattr(import_module(f"hvolab_vmcore.files.{module}"), name)
    return read(source)


READERS: Final[DumpReaders] = MappingProxyType(
    {
        "raw": partial(_read, "raw", "read_raw"),  # first: a map names it
        "ELF core": partial(_read, "elfcore", "read_elf_core"),
        "kdump-compressed": partial(_read, "kdump", "read_kdump"),
        "LiME": partial(_read, "lime", "read_lime"),
        "AVML": partial(_read, "lime", "read_avml"),
    }
)
