# SPDX-License-Identifier: GPL-2.0-only
"""Captured cores, and copies of them with entries or words of memory changed."""

from __future__ import annotations

import json
import lzma
import random
import struct
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from hvolab.serialize import as_data
from hvolab_vmcore.core.snapshot import open_snapshot
from hvolab_vmcore.files.elfcore import CoreFile, open_core
from hvolab_vmcore.replay.comparison import ReplayDifference
from hvolab_vmcore.replay.replay import replay
from hvolab_vmcore.scan.scan import Scan, scan
from hvolab_vmcore.torture.dump_writers import write_kdump

CAPTURES = Path(__file__).parents[2] / "captures"
#: One folder for each captured kernel.
FOLDERS = sorted(file.parent for file in CAPTURES.glob("*/capture.json"))
#: capture.json of each, by the folder's name.
REPORTS = {folder.name: json.loads((folder / "capture.json").read_text()) for folder in FOLDERS}
#: The cores of each, in order, and each two that follow each other.
STAGES = {folder.name: [folder / stage["file"] for stage in REPORTS[folder.name]["stages"]] for folder in FOLDERS}
PAIRS = [pair for cores in STAGES.values() for pair in pairwise(cores)]
X86_64 = CAPTURES / "x86_64-6.12-4level"
BOOT, OPTIMIZED_2M, OPTIMIZED_1G, RESTORED = (
    X86_64 / f"{name}.core.xz" for name in ("0-boot", "1-optimised-2M", "2-optimised-1G", "3-restored")
)
RISCV_OPTIMIZED = CAPTURES / "riscv64-6.12-sv57" / "1-optimised-2M.core.xz"
#: Cores of kernels that were not booted, one folder for each; and their states, in order.
MADE_CORES = Path(__file__).with_name("made_cores")
MADE_STATES = ("0-boot", "1-four-2M", "2-eight-2M", "3-one-1G", "4-restored", "5-optimized-again")
#: A booted kernel whose restore is wrong.
WRONG_OPTIMIZED, WRONG_RESTORED = (
    CAPTURES / "x86_64-6.12.117-default" / f"{name}.core.xz" for name in ("optimised", "restored")
)
#: The first 2 MiB page and the 1 GiB page of the captures, by PFN.
FIRST_FOLIO, GIGANTIC = 0x5C00, 0x40000
VMEMMAP = 0xFFFFEA0000000000
PAGE = 4096


def in_folder(core: Path) -> str:
    """Return the name of a captured core with that of its folder."""
    return f"{core.parent.name}-{core.name.partition('.')[0]}"


def va_of(pfn: int, page: int = 0) -> int:
    """Return the VA of a page of the vmemmap of the folio at a PFN."""
    return VMEMMAP + pfn * 64 + page * PAGE


def made(kernel: str, state: str) -> Path:
    """Return a core of a kernel that was not booted."""
    return MADE_CORES / kernel / f"{state}.core.xz"


@cache
def plain(core: Path) -> bytes:
    """Return the unpacked core."""
    return lzma.decompress(core.read_bytes())


@cache
def scanned(core: Path) -> Scan:
    """Return the scan of a captured core."""
    return scan(open_snapshot(core))


def slot_of(core: Path, va: int) -> tuple[int, int]:
    """Return PA and value of the entry at which the walk for ``va`` ends."""
    step = scanned(core).snapshot.tables.find(va)
    return step.slot, step.raw


def pa_of(core: Path, va: int) -> int:
    """Return the PA that ``va`` is mapped to."""
    frame = scanned(core).snapshot.tables.frame_of(va)
    assert frame is not None
    return frame * PAGE + va % PAGE


def changed(core: Path, words: dict[int, int], to: Path) -> Path:
    """Write a copy of ``core`` to ``to``, with words of its memory replaced, by PA."""
    content = bytearray(plain(core))
    for pa, word in words.items():
        struct.pack_into("<Q", content, offset_of(open_core(core), pa), word)
    to.write_bytes(content)
    return to


def offset_of(core: CoreFile, pa: int) -> int:
    """Return the offset of a PA in the uncompressed file."""
    (segment,) = (one for one in core.segments if one.physical <= pa < one.end)
    return segment.offset + pa - segment.physical


def findings_of(core: Path, words: dict[int, int], to: Path) -> list[dict[str, Any]]:
    """Return the findings in a copy of ``core`` with words changed, as for JSON."""
    return list(as_data(scan(open_snapshot(changed(core, words, to / "changed.core"))).findings))


def differences_of(before: Path, after: Path, words: dict[int, int], to: Path) -> tuple[ReplayDifference, ...]:
    """Return all differences between the engine, from ``before``, and a copy of ``after`` with words changed."""
    outcome = replay(before, changed(after, words, to / "changed.core"))
    assert outcome.differences_found == len(outcome.differences) > 0
    return outcome.differences


def with_text(core: Path, old: bytes, new: bytes, to: Path) -> Path:
    """Write a copy of ``core`` to ``to``, with a part of its notes replaced by one of the same length."""
    assert len(old) == len(new)
    assert old in plain(core)
    to.write_bytes(plain(core).replace(old, new))
    return to


def pages_of(core: Path) -> dict[int, bytes]:
    """Return the pages of a core by PFN."""
    dump = open_core(core)
    pfns = np.array([pfn for start, end in dump.ranges for pfn in range(start // PAGE, end // PAGE)])
    return dict(zip(pfns.tolist(), map(bytes, dump.frames(12).read(pfns, PAGE)), strict=True))


def without(core: Path, excluded: Iterable[int], to: Path) -> Path:
    """Write a kdump-compressed copy of ``core`` to ``to``, in which the pages of these PAs are excluded."""
    pages: dict[int, bytes | None] = {**pages_of(core)}
    pages |= dict.fromkeys(pa // PAGE for pa in excluded)
    (note,) = (one for one in open_core(core).notes if one.name == "VMCOREINFO")
    to.write_bytes(write_kdump(pages, info=note.data))
    return to


def damaged(core: Path, count: int, seed: int) -> Iterator[bytes]:
    """Return truncated and garbled copies of ``core``: headers, notes, page tables, struct pages."""
    chance = random.Random(seed)
    content = plain(core)
    opened = open_core(core)
    segments = opened.segments
    # entries and struct pages are words; few of the words of a page table are used
    used = {one: np.flatnonzero(opened.data(one).view("<u8")) * 8 for one in segments}
    for _ in range(count):
        copy = bytearray(content)
        for _ in range(chance.choice((1, 1, 2, 6))):
            if chance.random() < 0.7:
                segment = chance.choice(segments)
                place = segment.offset + int(chance.choice(used[segment]))
                (word,) = struct.unpack_from("<Q", copy, place)
                other = chance.choice(segments).physical + chance.randrange(16) * PAGE
                garbled = chance.choice(
                    (word ^ 1 << chance.randrange(64), other | word & 0xFFF, 0, 2**64 - 1, chance.getrandbits(64))
                )
                struct.pack_into("<Q", copy, place, garbled)
            else:
                copy[chance.randrange(segments[0].offset)] = chance.randrange(256)
        if chance.random() < 0.1:
            del copy[chance.randrange(len(copy)) :]
        yield bytes(copy)
