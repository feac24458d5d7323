# SPDX-License-Identifier: GPL-2.0-only
"""Cores that are written for tests: memory, notes and headers at will."""

from __future__ import annotations

from pathlib import Path

import pytest

from hvolab.errors import CoreFileError
from hvolab_vmcore.files.elf import CoreNote
from hvolab_vmcore.files.elfcore import CoreFile, open_core
from hvolab_vmcore.torture.elf_writer import Memory, write_core

EM_X86_64, ET_EXEC, ET_CORE, PT_LOAD, PT_NOTE = 62, 2, 4, 1, 4


def page(physical: int, fill: int = 0xAB) -> Memory:
    return Memory(physical, bytes([fill]) * 4096, 4096)


def opened(directory: Path, content: bytes, name: str = "a.core") -> CoreFile:
    path = directory / name
    path.write_bytes(content)
    return open_core(path)


def refusal(directory: Path, content: bytes) -> CoreFileError:
    """Return the error for `content`, which must name the file and have a hint."""
    with pytest.raises(CoreFileError) as caught:
        opened(directory, content)
    assert "a.core" in caught.value.where
    assert caught.value.hint
    return caught.value


def patched(content: bytes, offset: int, replacement: bytes) -> bytes:
    return content[:offset] + replacement + content[offset + len(replacement) :]


#: A core that is in order: two segments and a note.
GOOD = write_core([page(0x1000), page(0x5000)], (CoreNote("CORE", 1, b"1234"),))
