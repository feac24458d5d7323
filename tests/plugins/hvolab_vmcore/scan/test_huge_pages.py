# SPDX-License-Identifier: GPL-2.0-only
"""Huge pages in a vmemmap."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hvolab_vmcore.commands.report_data import scan_data
from hvolab_vmcore.core.snapshot import open_snapshot
from hvolab_vmcore.scan.huge_pages import Sharing, _shared, read_heads
from hvolab_vmcore.scan.releases import open_scan
from hvolab_vmcore.scan.scan import Scan, scan
from tests.plugins.hvolab_vmcore.changed_cores import (
    FIRST_FOLIO,
    GIGANTIC,
    OPTIMIZED_1G,
    OPTIMIZED_2M,
    PAGE,
    changed,
    made,
    pa_of,
    scanned,
    slot_of,
    va_of,
)

RW, PAGE_TYPE = 1 << 1, 48


def test_a_wrong_tail_in_a_gigantic_page_does_not_hide_the_page(tmp_path: Path) -> None:
    slot, raw = slot_of(OPTIMIZED_1G, va_of(GIGANTIC, 4000))
    core = changed(OPTIMIZED_1G, {slot: raw ^ 0x40000}, tmp_path / "changed.core")
    data = scan_data(scan(open_snapshot(core)))
    assert [(page["pfn"], page["state"]) for page in data["huge_pages"][:2]] == [
        (hex(GIGANTIC), "broken"),
        (hex(FIRST_FOLIO), "optimized"),
    ]
    assert [part["pages"] for part in data["huge_pages"][0]["tails"]] == [3999, 1, 95]


def test_tails_that_share_a_frame_of_their_own_are_recognized_in_any_release(tmp_path: Path) -> None:
    tail_frame = 0x2345 * PAGE
    words = {}
    for pfn in (FIRST_FOLIO, FIRST_FOLIO + 512):
        for page in range(1, 8):
            slot, raw = slot_of(OPTIMIZED_2M, va_of(pfn, page))
            words[slot] = raw & 0x8000000000000FFF | tail_frame
    found = scan(open_snapshot(changed(OPTIMIZED_2M, words, tmp_path / "changed.core")))
    pages = {page["pfn"]: page for page in scan_data(found)["huge_pages"]}
    assert pages[hex(FIRST_FOLIO)]["tails_share"] == "tail"
    assert pages[hex(FIRST_FOLIO + 1024)]["tails_share"] == "head"
    assert found.kinds() == {"foreign-frame": 2}  # but most of this kernel's tails share the head's
    assert found.savings.frames == 8 * 7 - 1


def marked(words: dict[int, int], core: Path, to: Path, *lines: bytes) -> Scan:
    """Return the scan of a copy of a core with words changed, and another line of VMCOREINFO for hugetlb's mark."""
    old = b"NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)=-201326592\n"
    new = b"".join(lines)
    new += b"X=".ljust(len(old) - len(new) - 1, b"-") + b"\n"
    copy = changed(core, words, to)
    to.write_bytes(copy.read_bytes().replace(old, new))
    return open_scan(to)


def heads_of(core: Path) -> list[int]:
    """Return the PAs of the heads of the eight folios, which are optimized."""
    return [pa_of(core, va_of(FIRST_FOLIO + 512 * number)) for number in range(8)]


def with_type(core: Path, pas: list[int], page_type: int) -> dict[int, int]:
    """Return the words with another page type at these PAs."""
    memory = scanned(core).snapshot.memory
    return {pa + PAGE_TYPE: memory.read_word(pa + PAGE_TYPE) & ~0xFFFFFFFF | page_type for pa in pas}


NOT_TYPED = 0xFFFFFFFF


def test_a_page_type_that_is_the_complement_of_a_bit_is_compared_whole(tmp_path: Path) -> None:
    heads = heads_of(OPTIMIZED_2M)
    words = with_type(OPTIMIZED_2M, heads[:6], ~0x800 & NOT_TYPED) | with_type(OPTIMIZED_2M, heads[6:], NOT_TYPED)
    line = b"NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)=-2049\n"
    found = marked(words, OPTIMIZED_2M, tmp_path / "a.core", line)
    assert found.huge_pages[-1].heads.hugetlb.tolist() == [True] * 6 + [False] * 2
    # as a DAX device of the same kernel has it: tails share a frame of their own, and the head is not hugetlb's
    slots = [slot_of(OPTIMIZED_2M, va_of(FIRST_FOLIO + 512 * 7, page)) for page in range(1, 8)]
    words |= {slot: raw & 0x8000000000000FFF | 0x2345 * PAGE for slot, raw in slots}
    found = marked(words, OPTIMIZED_2M, tmp_path / "b.core", line)
    (size,) = (one for one in scan_data(found)["sizes"] if one["order"] == 9)
    assert (size["optimized"], size["device_dax"], size["frames_saved"]) == (7, 1, 49)


def test_a_flag_of_the_second_struct_page_is_the_mark_of_6_6(tmp_path: Path) -> None:
    heads, memory = heads_of(OPTIMIZED_2M), scanned(OPTIMIZED_2M).snapshot.memory
    words = with_type(OPTIMIZED_2M, heads, NOT_TYPED)
    words |= {pa + 64: memory.read_word(pa + 64) & ~0xFF | 1 << 8 | 9 for pa in heads[:7]}
    found = marked(words, OPTIMIZED_2M, tmp_path / "a.core", b"NUMBER(PG_hugetlb)=8\n")
    heads_found = found.huge_pages[-1].heads
    assert heads_found.hugetlb.tolist() == [True] * 7 + [False]
    assert heads_found.orders.tolist() == [9] * 8
    assert any("hugetlb folios have a flag" in text for text in found.snapshot.choice.contradict)


def test_huge_pages_of_every_release_are_recognized_by_their_mark() -> None:
    for kernel in ("x86_64-6.1", "x86_64-6.12.117", "x86_64-7.2", "riscv64-6.12.117", "riscv64-7.2"):
        found = scanned(made(kernel, "3-one-1G"))
        assert [int(huge.heads.hugetlb.sum()) for huge in found.huge_pages] == [1, 8]
        assert [huge.heads.orders.tolist() for huge in found.huge_pages] == [[18], [9] * 8]
        # in the cores, restored folios are free blocks
        assert not any(huge.heads.hugetlb.any() for huge in scanned(made(kernel, "4-restored")).huge_pages)


def test_a_device_dax_folio_is_not_a_hugetlb_folio(tmp_path: Path) -> None:
    words = {pa_of(OPTIMIZED_2M, va_of(FIRST_FOLIO)) + PAGE_TYPE: 0xFFFFFFFF}
    for page in range(1, 8):
        slot, raw = slot_of(OPTIMIZED_2M, va_of(FIRST_FOLIO, page))
        words[slot] = raw & 0x8000000000000FFF | 0x2345 * PAGE | RW
    found = scan(open_snapshot(changed(OPTIMIZED_2M, words, tmp_path / "changed.core")))
    states = {page["pfn"]: page["state"] for page in scan_data(found)["huge_pages"]}
    assert states[hex(FIRST_FOLIO)] == "device dax"
    assert found.findings == ()
    assert found.savings.frames == 7 * 7


def test_heads_that_no_sharing_depends_on_are_read_by_the_first_use(tmp_path: Path) -> None:
    slot, raw = slot_of(OPTIMIZED_2M, va_of(FIRST_FOLIO, 1))
    words = {slot + 8 * page: raw + (page + 1) * PAGE for page in range(7)}  # the first folio is not optimized
    found = scan(open_snapshot(changed(OPTIMIZED_2M, words, tmp_path / "changed.core")))
    (huge,) = (one for one in found.huge_pages if one.order == 9)
    assert huge.sharing.tolist() == [Sharing.NONE] + 7 * [Sharing.HEAD]
    assert found.optimized_heads.tolist() == [FIRST_FOLIO + 512 * number for number in range(1, 8)]
    assert "heads" not in huge.__dict__
    every = read_heads(found.snapshot, found.pages.frames[huge.rows])
    assert all(np.array_equal(column, getattr(huge.heads, name)) for name, column in vars(every).items())


@given(st.lists(st.lists(st.integers(-1, 3), min_size=16, max_size=16), max_size=8), st.sampled_from([1, 2, 4, 8]))
def test_tails_share_what_more_than_half_of_them_map(rows: list[list[int]], smaller: int) -> None:
    def most(values: list[int]) -> int:
        value, count = Counter(values).most_common(1)[0]
        return value if 2 * count > len(values) else -1

    found = _shared(np.array(rows, dtype=np.int64).reshape(-1, 16), smaller)
    assert found.tolist() == [
        most(row[smaller::smaller]) if most(row[1:]) == most(row[smaller::smaller]) else -1 for row in rows
    ]
