# SPDX-License-Identifier: GPL-2.0-only
"""Names of page flags and page types."""

from __future__ import annotations

from pathlib import Path

from hvolab_vmcore.core.snapshot import open_snapshot
from hvolab_vmcore.page.flags import PageType, known_flags, page_types
from tests.plugins.hvolab_vmcore.changed_cores import OPTIMIZED_2M, made, scanned, with_text


def test_flags_are_numbered_as_in_the_kernel_of_the_dump() -> None:
    new, old = (known_flags(scanned(core).snapshot) for core in (OPTIMIZED_2M, made("x86_64-6.1", "0-boot")))
    assert (new["PG_head"], new["PG_reserved"], new["PG_private"]) == (6, 13, 14)
    assert (old["PG_head"], old["PG_reserved"], old["PG_private"], old["PG_slab"]) == (16, 12, 13, 9)


def test_a_release_that_vmcoreinfo_contradicts_names_no_flag(tmp_path: Path) -> None:
    old, new = b"NUMBER(PG_hwpoison)=20", b"NUMBER(PG_hwpoison)=25"
    flags = known_flags(open_snapshot(with_text(OPTIMIZED_2M, old, new, tmp_path / "a.core")))
    assert flags["PG_hwpoison"] == 25
    assert "PG_reserved" not in flags


def test_types_are_compared_whole_where_they_are_a_bit_that_lacks() -> None:
    counted, whole = PageType(0xF4000000), PageType(0xFFFFFF7F)
    assert counted.matches(0xF4000003)
    assert not counted.matches(0xF5000000)
    assert whole.matches(0xFFFFFF7F)
    assert not whole.matches(0xFFFFFEFF)
    assert page_types(scanned(made("x86_64-6.1", "0-boot")).snapshot)["buddy"] == whole
    assert set(page_types(scanned(OPTIMIZED_2M).snapshot)) == {"buddy", "hugetlb", "slab", "offline"}
