# SPDX-License-Identifier: GPL-2.0-only
"""Cores cut to what HVO uses: page tables on the way to the vmemmap, frames behind it, and VMCOREINFO."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from hvolab.machine import FrameState
from hvolab_vmcore.core.memory import Ints
from hvolab_vmcore.files.elf import CoreNote
from hvolab_vmcore.scan.scan import Scan
from hvolab_vmcore.torture.elf_writer import Memory, write_core

_ELF_NUMBERS: Final = {"EM_X86_64": 62, "EM_AARCH64": 183, "EM_RISCV": 243}


def cut(scan: Scan, numbers: Ints | None = None) -> bytes:
    """Return an ELF core of the page tables of the vmemmap and of the frames behind it.

    numbers  of the vmemmap pages whose frames are kept; None: all
    """
    frames = np.unique(np.concatenate([*_table_frames(scan), _backing(scan, numbers), *_section_frames(scan)]))
    memory = scan.snapshot.memory
    frames = frames[memory.states(frames) >= FrameState.ZERO]
    shift = scan.snapshot.target.mode.page_shift
    runs = np.split(frames, np.flatnonzero(np.diff(frames) != 1) + 1)
    parts = [
        Memory(int(run[0]) << shift, memory.peek(run, 1 << shift).tobytes(), run.size << shift)
        for run in runs
        if run.size
    ]
    machine = _ELF_NUMBERS[scan.snapshot.target.architecture.elf_machine]
    return write_core(parts, (CoreNote("VMCOREINFO", 0, text_of(scan)),), machine=machine)


def text_of(scan: Scan) -> bytes:
    """Return the text of a core's VMCOREINFO."""
    info = scan.snapshot.core.vmcoreinfo
    return b"" if info is None else "".join(f"{key}={value}\n" for key, value in info.raw.items()).encode()


def _table_frames(scan: Scan) -> Iterator[Ints]:
    """Yield the frames of all page tables on the way to the vmemmap."""
    shift = scan.pages.shift
    for tables in scan.walk.levels:
        for start in range(0, tables.level.table_bytes, 1 << shift):
            yield (tables.pas + start) >> shift


def _backing(scan: Scan, numbers: Ints | None) -> Ints:
    """Return the frames behind the vmemmap, or behind the pages of these numbers."""
    frames = scan.pages.frames if numbers is None else scan.pages.frames_of(numbers)
    present: Ints = frames[frames >= 0]
    return present


def _section_frames(scan: Scan) -> Iterator[Ints]:
    """Yield the frames on the way to the first section of memory, where only that shows the VA of the vmemmap."""
    info, tables, shift = scan.snapshot.core.vmcoreinfo, scan.snapshot.tables, scan.pages.shift
    roots = None if info is None else info.symbol("mem_section")
    if info is None or roots is None or info.symbol("vmemmap") is not None:
        return
    for va in (roots, _word(scan, roots)):
        for each in (va, va + info.page_size - 1):
            steps = [step.slot >> shift for step in tables.walk(each)]
            frame = tables.frame_of(each)
            yield np.array([*steps, *([] if frame is None else [frame])], dtype=np.int64)


def _word(scan: Scan, va: int) -> int:
    """Return the word at a VA, 0 where nothing is mapped."""
    tables, shift = scan.snapshot.tables, scan.pages.shift
    frame = tables.frame_of(va)
    return 0 if frame is None else tables.memory.read_word((frame << shift) + va % (1 << shift))
