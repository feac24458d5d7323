# SPDX-License-Identifier: GPL-2.0-only
"""Layout of struct page in a core."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hvolab.errors import CoreFileError
from hvolab.release import DEFAULT
from hvolab.release.struct_page import FolioField
from hvolab_vmcore.core.layout import layout_of
from hvolab_vmcore.core.snapshot import open_snapshot
from hvolab_vmcore.files.elfcore import open_core
from hvolab_vmcore.files.vmcoreinfo import VmcoreInfo, parse_vmcoreinfo
from tests.plugins.hvolab_vmcore.changed_cores import CAPTURES, OPTIMIZED_2M, made, with_text

BASE = DEFAULT.struct_page


def info(*lines: str) -> VmcoreInfo:
    return parse_vmcoreinfo("".join(f"{line}\n" for line in ("OSRELEASE=6.1.0", "PAGESIZE=4096", *lines)).encode())


def test_values_of_vmcoreinfo_replace_those_of_the_release() -> None:
    assert layout_of(None, BASE, 4096) == BASE
    layout = layout_of(info("SIZE(page)=128", "OFFSET(page.private)=48", "NUMBER(PG_head_mask)=32"), BASE, 4096)
    assert (layout.size, layout.words, layout.private, layout.pg_head) == (128, 16, 48, 5)
    assert layout.folio_order.place(layout.size, "little").offset == 128


def test_the_order_is_a_byte_up_to_v6_5() -> None:
    assert layout_of(info("OFFSET(page.compound_order)=17"), BASE, 4096).folio_order.low_byte(64, "little") == 64 + 17


def test_a_hugetlb_folio_has_a_destructor_or_a_page_type() -> None:
    old = layout_of(info("OFFSET(page.compound_dtor)=16", "NUMBER(HUGETLB_PAGE_DTOR)=2"), BASE, 4096)
    assert (old.hugetlb_mark, old.hugetlb_set) == (FolioField(1, 16, 1), 2)
    lines = ("OFFSET(page._mapcount)=48", "NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)=-201326592")
    for base in (BASE, old):
        new = layout_of(info(*lines), base, 4096)
        assert (new.hugetlb_mark, new.hugetlb_set) == (FolioField(0, 48, 4), 0xF4000000)
    kept = layout_of(info(), old, 4096)
    assert (kept.hugetlb_mark, kept.hugetlb_set) == (old.hugetlb_mark, old.hugetlb_set)


def test_a_tail_holds_a_mask_unless_vmcoreinfo_has_a_pointer() -> None:
    masks = replace(BASE, masks_compound=True)
    assert layout_of(info("OFFSET(page.compound_info)=8"), masks, 4096).masks_compound
    assert not layout_of(info("OFFSET(page.compound_head)=8"), masks, 4096).masks_compound


@pytest.mark.parametrize(
    ("core", "node_bits", "zone_bits"),
    [
        (made("x86_64-6.1", "0-boot"), 10, 3),
        (made("x86_64-7.2", "0-boot"), 10, 3),
        (made("riscv64-7.2", "0-boot"), 2, 2),
        (CAPTURES / "riscv64-6.12-sv57" / "0-boot.core.xz", 2, 2),
    ],
)
def test_node_and_zone_follow_from_the_size_of_a_node(core: Path, node_bits: int, zone_bits: int) -> None:
    layout = layout_of(open_core(core).vmcoreinfo, BASE, 4096)
    assert (layout.node_bits, layout.node_shift) == (node_bits, 64 - node_bits)
    assert (layout.zone_bits, layout.zone_shift) == (zone_bits, 64 - node_bits - zone_bits)


def test_an_impossible_size_of_a_node_leaves_node_and_zone_as_the_release_has_them() -> None:
    layout = layout_of(info("SIZE(zone)=1536", "OFFSET(pglist_data.nr_zones)=1000"), BASE, 4096)
    assert (layout.node_bits, layout.zone_shift) == (BASE.node_bits, BASE.zone_shift)


def test_a_struct_page_of_an_impossible_size_is_refused(tmp_path: Path) -> None:
    for size in (b"56", b"63", b"16", b"00"):
        core = with_text(OPTIMIZED_2M, b"SIZE(page)=64", b"SIZE(page)=" + size, tmp_path / "changed.core")
        with pytest.raises(CoreFileError, match=f"a struct page of {int(size)} bytes does not suit HVO"):
            open_snapshot(core)


def test_a_member_that_does_not_fit_the_struct_page_is_refused(tmp_path: Path) -> None:
    for offset in (b"41", b"64", b"99"):
        text = b"OFFSET(page.private)="
        core = with_text(OPTIMIZED_2M, text + b"40", text + offset, tmp_path / "changed.core")
        with pytest.raises(CoreFileError, match=r"page\.private at byte"):
            open_snapshot(core)
