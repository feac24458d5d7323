# SPDX-License-Identifier: GPL-2.0-only
"""Writers of dumps: what they write is read, with pages of any size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hvolab_vmcore.files.open import open_dump
from hvolab_vmcore.torture.dump_writers import Pages, flatten, ranges_of, write_avml, write_kdump, write_lime

Writer = Callable[[Pages, int], bytes]
PAGES = {3: b"a", 4: b"b", 9: b"c"}
WRITERS: dict[str, Writer] = {
    "kdump": lambda pages, size: write_kdump(pages, kinds=(0, 1, 2, 4, 0x20), page_size=size),
    "flattened": lambda pages, size: flatten(write_kdump(pages, page_size=size), [100]),
    "lime": write_lime,
    "avml": write_avml,
}


@pytest.mark.parametrize("size", [4096, 16384, 65536])
@pytest.mark.parametrize("writer", WRITERS)
def test_pages_of_any_size_are_read_as_they_were_written(writer: str, size: int, tmp_path: Path) -> None:
    pages = {pfn: data * size for pfn, data in PAGES.items()}
    path = tmp_path / "a.dump"
    path.write_bytes(WRITERS[writer](pages, size))
    rows = open_dump(path).frames(size.bit_length() - 1).read(np.array(list(pages)), size)
    assert [bytes(row) for row in rows] == list(pages.values())


def test_runs_of_pages_leave_out_excluded_ones() -> None:
    pages = {1: b"a", 2: b"b", 3: None, 4: b"c"}
    assert list(ranges_of(pages, 2)) == [(1, b"a\0b\0"), (4, b"c\0")]
    assert list(ranges_of({1: None})) == []
