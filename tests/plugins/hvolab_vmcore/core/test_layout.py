# SPDX-License-Identifier: GPL-2.0-only
"""Layout of struct page in a core."""

from __future__ import annotations

from pathlib import Path

import pytest

from hvolab.errors import CoreFileError
from hvolab.release import DEFAULT
from hvolab_vmcore.core.layout import layout_of
from hvolab_vmcore.core.snapshot import open_snapshot
from hvolab_vmcore.core.vmcoreinfo import VmcoreInfo, parse_vmcoreinfo
from tests.plugins.hvolab_vmcore.changed_cores import OPTIMIZED_2M, with_text


def info(*lines: str) -> VmcoreInfo:
    return parse_vmcoreinfo("".join(f"{line}\n" for line in ("OSRELEASE=6.1.0", "PAGESIZE=4096", *lines)).encode())


def test_values_of_vmcoreinfo_replace_those_of_v6_12() -> None:
    assert layout_of(None, 4096) == DEFAULT.struct_page
    layout = layout_of(info("SIZE(page)=128", "OFFSET(page.private)=48", "NUMBER(PG_head_mask)=32"), 4096)
    assert (layout.size, layout.words, layout.private, layout.pg_head) == (128, 16, 48, 5)
    assert layout.folio_order.place(layout.size, "little").offset == 128


def test_the_order_is_a_byte_up_to_v6_5() -> None:
    assert layout_of(info("OFFSET(page.compound_order)=17"), 4096).folio_order.low_byte(64, "little") == 64 + 17


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
