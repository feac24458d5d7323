# SPDX-License-Identifier: GPL-2.0-only
"""Memory at PAs that are too far apart to be mapped: dumps of it are read, in every format, and not replayed."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from hvolab.errors import AbsentMemoryError, CoreFileError
from hvolab.machine import FrameState
from hvolab.plugin import registry
from hvolab_vmcore.core.memory import memory_of
from hvolab_vmcore.core.snapshot import SnapshotOptions
from hvolab_vmcore.core.unmapped import UnmappedMemory
from hvolab_vmcore.page.view import view_page
from hvolab_vmcore.replay.replay import replay
from hvolab_vmcore.scan.releases import open_scan
from hvolab_vmcore.torture.dump_writers import kdump_pieces
from hvolab_vmcore.torture.elf_writer import Memory, write_core
from hvolab_vmcore.torture.machine import TortureMachine
from hvolab_vmcore.torture.torture import FORMATS
from tests.plugins.hvolab_vmcore.written_cores import opened, page

FAR = 1 << 51


@cache
def machine_at(architecture: str, mode: str, base: int) -> TortureMachine:
    """Return a machine whose memory starts at a PA, and a dump of it with a page at PA 0 as well."""
    made = registry().architecture(architecture)
    machine = TortureMachine(replace(made, ram_base=base).select(mode))
    vars(machine)["pages"] = {0: bytes(machine.target.mode.page_size), **machine.pages}
    return machine


def check(path: Path, machine: TortureMachine, options: SnapshotOptions | None = None) -> None:
    found = open_scan(path, options)
    assert isinstance(found.snapshot.memory, UnmappedMemory)
    assert found.optimized_heads.tolist() == [one.pfn for one in machine.huge_pages if one.optimized]
    assert (found.kinds(), found.savings.frames) == ({}, machine.frames_saved)
    head = machine.huge_pages[-1]
    shown = view_page(found, head.pfn)
    assert shown.struct_page.frame == head.vmemmap[0].pfn
    assert (shown.owner.folio, bool(shown.fields)) == (head.pfn, True)


@pytest.mark.parametrize("form", ["elf", "lime", "avml", "raw"])
@pytest.mark.parametrize(
    ("architecture", "mode", "base"),
    [("x86_64", "5-level", 1 << 47), ("arm64", "4K-52bit", FAR), ("riscv", "Sv57", 1 << 55)],
)
def test_memory_at_any_pa_is_read_in_every_format(
    architecture: str, mode: str, base: int, form: str, tmp_path: Path
) -> None:
    machine = machine_at(architecture, mode, base)
    written = FORMATS[form](machine)
    paths = [tmp_path / f"dump{end}" for end in written.files]
    for path, content in zip(paths, written.files.values(), strict=True):
        path.write_bytes(content)
    check(paths[0], machine, SnapshotOptions(memory_map=paths[1]) if written.options else None)


def test_bitmaps_of_many_frames_are_read_where_the_file_is_no_hole(tmp_path: Path) -> None:
    machine, path = machine_at("x86_64", "5-level", FAR), tmp_path / "a.kdump"
    with path.open("wb") as file:
        for offset, piece in kdump_pieces(machine.pages, info=machine.note):
            file.seek(offset)
            file.write(piece)
    assert path.stat().st_size > 32 << 30
    check(path, machine)


def test_words_are_those_of_a_mapping_and_frames_that_are_absent_are_errors(tmp_path: Path) -> None:
    near, far = page(0x8001000, 0xAB), page(FAR + 0x3000, 0xCD)
    memory = memory_of(opened(tmp_path, write_core([near, far])), 12)
    mapped = memory_of(opened(tmp_path, write_core([near]), "near.core"), 12)
    assert isinstance(memory, UnmappedMemory)
    assert memory.base == mapped.base
    for name in ("words", "entries"):
        ours, theirs = getattr(memory, name), getattr(mapped, name)
        assert mapped.holds(0x8001000)
        assert np.array_equal(ours[512:1024], theirs[512:1024])
        some = np.array([[600, 512], [1023, 700]])
        assert np.array_equal(ours[some], theirs[some])
    assert memory.read_word(FAR + 0x3FF8) == memory.read_entry(FAR + 0x3000) == 0xCDCDCDCDCDCDCDCD
    assert memory.view(FAR + 0x3FFE, 2).tobytes() == b"\xcd\xcd"
    pfns = np.array([0x8000, 0x8001, FAR + 0x3000 >> 12, -1, 1 << 52])
    assert memory.states(pfns).tolist() == [0, FrameState.SAVED, FrameState.SAVED, 0, 0]
    assert memory.peek(pfns, 2).tolist() == [[0, 0], [0xAB] * 2, [0xCD] * 2, [0, 0], [0, 0]]
    assert memory.fetch(pfns).tolist() == [memory.holds(pfn << 12) for pfn in pfns.tolist()]
    for read in (memory.read_word, memory.offset, lambda pa: memory.view(pa, 8)):
        with pytest.raises(AbsentMemoryError, match="is not in the core"):
            read(FAR)
    assert memory.offset(FAR + 0x3000) == FAR + 0x3000 - memory.base


def test_a_frame_that_was_not_saved_is_called_so(tmp_path: Path) -> None:
    memory = memory_of(opened(tmp_path, write_core([page(0x8001000), Memory(FAR, b"", 4096)])), 12)
    with pytest.raises(AbsentMemoryError, match="it was not saved"):
        memory.read_word(FAR)


def test_a_replay_of_such_a_dump_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.core"
    path.write_bytes(FORMATS["elf"](machine_at("x86_64", "5-level", 1 << 47)).files[".core"])
    with pytest.raises(CoreFileError, match="this computer cannot map as much") as caught:
        replay(path, path)
    assert "inspect" in caught.value.hint
