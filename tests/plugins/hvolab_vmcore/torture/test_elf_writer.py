# SPDX-License-Identifier: GPL-2.0-only
"""Writer of ELF cores: what it writes is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from hvolab_vmcore.files.elf import CoreNote
from hvolab_vmcore.files.elfcore import open_core
from hvolab_vmcore.torture.elf_writer import Memory, write_core


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("extended", [False, True])
def test_memory_and_notes_are_read_as_they_were_written(order: str, tmp_path: Path, *, extended: bool) -> None:
    memory = [Memory(0x1000, b"a" * 4096, 8192), Memory(0x9000, b"b" * 4096, 4096)]
    notes = (CoreNote("CORE", 1, b"12345"), CoreNote("X", 7, b""))
    path = tmp_path / "a.core"
    path.write_bytes(write_core(memory, notes, "big" if order == "big" else "little", machine=243, extended=extended))
    core = open_core(path)
    assert (core.machine, core.byte_order, core.notes) == ("EM_RISCV", order, notes)
    assert core.ranges == ((0x1000, 0x3000), (0x9000, 0xA000))
    assert [core.data(one).tobytes() for one in core.segments] == [one.data for one in memory]
