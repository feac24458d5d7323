# SPDX-License-Identifier: GPL-2.0-only
"""`hvolab inspect` of large ELF cores, against the capture of a few frames from which they are made."""

from __future__ import annotations

import lzma
import os
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.processes import in_turn, series
from benchmarks.report import Bar, BenchmarkError, Result
from hvolab.arch import EntryKind, PgprotRole
from hvolab_vmcore.core.snapshot import CoreSnapshot, open_snapshot
from hvolab_vmcore.files.elf import CoreNote

_CAPTURE = Path(__file__).parent.parent / "tests/captures/x86_64-6.12-4level/1-optimised-2M.core.xz"
_GIB, _PAGE, _STRUCT_PAGE = 1 << 30, 4096, 64
#: Folios that are optimized in the capture.
_OPTIMIZED = 8
#: Offset of the memory in a core.
_START = 1 << 16
#: Data are written from here on, and not over what the capture has.
_DATA, _BLOCK = 1 << 29, 1 << 20
_TIME, _MEBIBYTES = 3.0, 300.0
_REPETITIONS, _QUICK_REPETITIONS = 5, 3


def run(*, quick: bool) -> Result:
    """Inspect the capture and the cores in turn."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        capture, sparse, dense = (folder / each for each in ("capture", "sparse", "dense"))
        capture.write_bytes(lzma.decompress(_CAPTURE.read_bytes()))
        snapshot = open_snapshot(capture)
        _write(snapshot, sparse, 64 * _GIB, 0)
        _write(snapshot, dense, 8 * _GIB, _GIB if quick else 4 * _GIB)
        names = {"capture": capture, "64 GiB, sparse": sparse, "8 GiB, with data": dense}
        commands = {title: ["-m", "benchmarks.dumps_run", str(path)] for title, path in names.items()}
        found = in_turn(commands, _QUICK_REPETITIONS if quick else _REPETITIONS)
    if any(run["optimized"] != _OPTIMIZED for runs in found.values() for run in runs):
        raise BenchmarkError(f"a run does not find the {_OPTIMIZED} optimized folios")
    seconds = {title: series(title, "s", runs, "seconds") for title, runs in found.items()}
    peak = series("64 GiB, sparse: peak memory", "MiB", found["64 GiB, sparse"], "peak")
    anonymous = series("8 GiB, with data: anonymous memory", "MiB", found["8 GiB, with data"], "anonymous")
    least = seconds["capture"].median
    return Result(
        "dumps",
        (*seconds.values(), peak, anonymous),
        (
            *(
                Bar(f"{name} / capture", each.median / least, _TIME)
                for name, each in seconds.items()
                if name != "capture"
            ),
            Bar(peak.name, peak.median, _MEBIBYTES),
            Bar(anonymous.name, anonymous.median, _MEBIBYTES),
        ),
        (
            "CPU time of a process that opens, scans and reports a core, imports included.",
            "The cores have all memory in one segment, its vmemmap mapped by PMD leaves, and the capture's frames.",
        ),
    )


def _write(snapshot: CoreSnapshot, to: Path, size: int, data: int) -> None:
    """Write a core of ``size`` bytes of memory, ``data`` bytes of them random, with the memory of the capture."""
    (note,) = (one for one in snapshot.core.notes if one.name == "VMCOREINFO")
    notes = _note(note)
    with to.open("wb") as file:
        identity = b"\x7fELF" + bytes((2, 1, 1)) + bytes(9)
        file.write(identity + struct.pack("<2HI3QI6H", 4, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0))
        file.write(struct.pack("<2I6Q", 4, 0, 64 + 2 * 56, 0, 0, len(notes), len(notes), 4))
        file.write(struct.pack("<2I6Q", 1, 6, _START, 0, 0, size, size, _PAGE))
        file.write(notes)
        file.truncate(_START + size)
        block = os.urandom(_BLOCK)
        held = [(start, end) for start, end in snapshot.core.ranges]
        for pa in range(_DATA, _DATA + data, _BLOCK):
            if not any(start < pa + _BLOCK and pa < end for start, end in held):
                file.seek(_START + pa)
                file.write(block)
        frames = snapshot.core.frames(12)
        for start, end in held:
            pfns = np.arange(start // _PAGE, end // _PAGE, dtype=np.int64)
            file.seek(_START + start)
            file.write(frames.read(pfns, _PAGE).tobytes())
        for pa, raw in _leaves(snapshot, size):
            file.seek(_START + pa)
            file.write(struct.pack("<Q", raw))


def _leaves(snapshot: CoreSnapshot, size: int) -> Iterator[tuple[int, int]]:
    """Yield PA and value of the entries that map the vmemmap of all memory, to frames at the end of memory."""
    vmemmap = size // _PAGE * _STRUCT_PAGE
    level = snapshot.target.mode.levels[-2]
    for offset in range(0, vmemmap, level.size):
        step = snapshot.tables.find(snapshot.vmemmap + offset)
        if step.kind is EntryKind.NONE and step.level is level:
            pfn = (size - vmemmap + offset) // _PAGE
            yield step.slot, snapshot.target.leaf(level.name, pfn, PgprotRole.KERNEL_LARGE)


def _note(note: CoreNote) -> bytes:
    """Return the bytes of a note."""
    name = note.name.encode() + b"\0"
    padded = (part + bytes(-len(part) % 4) for part in (name, note.data))
    return struct.pack("<3I", len(name), len(note.data), note.type) + b"".join(padded)
