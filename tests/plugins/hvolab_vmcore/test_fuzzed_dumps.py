# SPDX-License-Identifier: GPL-2.0-only
"""Garbled files of every format: read, or refused in a sentence, in bounded memory."""

from __future__ import annotations

import lzma
import random
import resource
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hvolab.errors import HvolabError
from hvolab.machine import FrameState
from hvolab_vmcore.commands.report_data import scan_data
from hvolab_vmcore.files.open import open_dump
from hvolab_vmcore.scan.releases import open_scan
from hvolab_vmcore.torture.dump_writers import PAGE as BLOCK
from hvolab_vmcore.torture.dump_writers import flatten, write_avml, write_kdump, write_lime
from hvolab_vmcore.torture.elf_writer import Memory, write_core
from tests.plugins.hvolab_vmcore.changed_cores import OPTIMIZED_2M, plain
from tests.plugins.hvolab_vmcore.written_cores import page

PAGES = {3: b"ab" * 2048, 4: bytes(BLOCK), 9: random.Random(1).randbytes(64) * 64, 4000: b"c" * BLOCK}
KDUMP = write_kdump({**PAGES, 5: None}, kinds=(0, 1, 2, 4, 0x20))
SMALL = {
    "elf": write_core([page(0x1000), Memory(0x8000, b"x" * 5000, 9000)]),
    "kdump": KDUMP,
    "flattened": flatten(KDUMP, [100, 5000]),
    "lime": write_lime(PAGES),
    "avml": write_avml(PAGES),
}
REAL = Path(__file__).parent / "made_dumps"
#: Values that make numbers extreme.
EXTREMES = (0, 1, 0x7F, 0x80, 0xFF)
CHANGES = st.lists(
    st.tuples(st.integers(0, 1 << 16), st.sampled_from(EXTREMES) | st.integers(0, 255), st.sampled_from([1, 2, 4, 8])),
    min_size=1,
    max_size=6,
)


def garbled(content: bytes, changes: list[tuple[int, int, int]], cut: float | None) -> bytes:
    copy = bytearray(content)
    for place, value, count in changes:
        at = place % len(copy)
        copy[at : at + count] = bytes([value]) * len(copy[at : at + count])
    return bytes(copy if cut is None else copy[: int(cut * len(copy))])


@pytest.mark.slow
@given(st.sampled_from(sorted(SMALL)), CHANGES, st.none() | st.floats(0, 1))
def test_garbled_files_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, name: str, changes: list[tuple[int, int, int]], cut: float | None
) -> None:
    path = tmp_path_factory.getbasetemp() / "garbled"
    path.unlink(missing_ok=True)
    path.write_bytes(garbled(SMALL[name], changes, cut))
    try:
        frames = open_dump(path).frames(12)
        pfns = np.arange(4100)
        states = frames.states(pfns)
        frames.read(pfns[states >= FrameState.ZERO], BLOCK)
    except HvolabError as error:
        assert error.what  # noqa: PT017 - some copies can still be read


@cache
def sources() -> tuple[bytes, ...]:
    """Return real dumps of every format, uncompressed, and a compressed one."""
    real = [
        lzma.decompress((REAL / f"{name}.xz").read_bytes())
        for name in ("zlib-31.kdump", "lzo-31.kdump", "zstd-31.kdump", "flattened-0.kdump", "source.core")
    ]
    elf = open_dump(OPTIMIZED_2M)
    frames = elf.frames(12)
    held = [pfn for start, end in elf.ranges for pfn in range(start >> 12, end >> 12)]
    rows = frames.read(np.array(held), BLOCK)
    pages = {pfn: row.tobytes() for pfn, row in zip(held, rows, strict=True)}
    return (*real, plain(OPTIMIZED_2M), write_lime(pages), write_avml(pages), OPTIMIZED_2M.read_bytes())


def copies(count: int, seed: int) -> Iterator[bytes]:
    """Return garbled copies, mostly of headers."""
    chance = random.Random(seed)
    for _ in range(count):
        content = chance.choice(sources())
        reach = chance.choice((128, 1024, 1 << 14, len(content)))
        values = (*EXTREMES, chance.randrange(256))
        changes = [
            (chance.randrange(reach), chance.choice(values), chance.choice((1, 2, 4, 8)))
            for _ in range(chance.choice((1, 1, 3)))
        ]
        yield garbled(content, changes, chance.random() if chance.random() < 0.2 else None)


def outcomes(count: int, seed: int, path: Path) -> Counter[str]:
    """Inspect garbled copies, and return how many were read and refused."""
    before, found = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, Counter[str]()
    for content in copies(count, seed):
        path.unlink(missing_ok=True)
        path.write_bytes(content)
        try:
            scan_data(open_scan(path))
        except HvolabError as error:
            assert error.what  # noqa: PT017 - some copies can still be read
            found["refused"] += 1
        else:
            found["read"] += 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 512 << 10  # KiB
    return found


@pytest.mark.slow
def test_garbled_real_dumps_are_inspected_or_refused(tmp_path: Path) -> None:
    assert min(outcomes(60, 1, tmp_path / "garbled").values()) > 5


@pytest.mark.long
def test_five_thousand_garbled_real_dumps_are_inspected_or_refused(tmp_path: Path) -> None:
    assert min(outcomes(5000, 2, tmp_path / "garbled").values()) > 500
