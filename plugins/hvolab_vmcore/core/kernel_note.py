# SPDX-License-Identifier: GPL-2.0-only
"""VMCOREINFO of a dump: from a file that an option names, from its notes, or found in its memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from hvolab.arithmetic import div_round_up
from hvolab.errors import CoreFileError
from hvolab.machine import FrameState, MemorySource
from hvolab_vmcore.files.dump import Dump
from hvolab_vmcore.files.vmcoreinfo import VmcoreInfo, parse_vmcoreinfo
from hvolab_vmlinux.containers.files import read_file

#: Start of the text, which the kernel has at the start of a page.
#: Kernel: crash_save_vmcoreinfo_init() in kernel/vmcore_info.c, v6.12.
_START: Final = b"OSRELEASE="
#: log2 of the sizes in which formats may have frames; the first that the format has is used.
_SHIFTS: Final = (12, 14, 16)
#: Frames that are searched: 64 GiB of pages of 4 KiB; and at once.
_MOST_FRAMES: Final = 1 << 24
_AT_ONCE: Final = 1 << 16
#: A text has more keys with an integer.
_FEWEST_KEYS: Final = 4


def with_text_of(dump: Dump, path: Path) -> Dump:
    """Return the dump with the text in the file at ``path`` as its VMCOREINFO; raises CoreFileError."""
    content = read_file(path, CoreFileError, max_size=1 << 20).tobytes()
    info = parse_vmcoreinfo(content if content.endswith(b"\n") else content + b"\n", where=str(path))
    return replace(dump, vmcoreinfo=info, warnings=(*dump.warnings, *info.warnings))


def with_found_text(dump: Dump) -> Dump:
    """Return the dump with the VMCOREINFO that its memory has, or unchanged where it has none."""
    for shift in _SHIFTS:
        try:
            frames = dump.frames(shift)
        except CoreFileError:
            continue
        for pfn, info in _texts(dump, frames, shift):
            found = f"VMCOREINFO was found in memory, at PA {pfn << shift:#x}"
            return replace(dump, vmcoreinfo=info, warnings=(*dump.warnings, found, *info.warnings))
        break
    return dump


def _texts(dump: Dump, frames: MemorySource, shift: int) -> Iterator[tuple[int, VmcoreInfo]]:
    """Yield the frames that have a text, with it."""
    left, start_of_text = _MOST_FRAMES, np.frombuffer(_START, np.uint8)
    for start, end in dump.ranges:
        first, last = start >> shift, min(div_round_up(end, 1 << shift), (start >> shift) + left)
        left -= last - first
        for low in range(first, last, _AT_ONCE):
            pfns = np.arange(low, min(low + _AT_ONCE, last), dtype=np.int64)
            saved = pfns[frames.states(pfns) == FrameState.SAVED]
            rows = frames.read(saved, len(_START))
            for pfn in saved[(rows == start_of_text).all(axis=1)].tolist():
                text = frames.read(np.array([pfn]), 1 << shift).tobytes().partition(b"\0")[0]
                try:
                    info = parse_vmcoreinfo(text)
                except CoreFileError:
                    continue
                if len(info.values) >= _FEWEST_KEYS:
                    yield pfn, info
