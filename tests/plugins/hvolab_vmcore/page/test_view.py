# SPDX-License-Identifier: GPL-2.0-only
"""Everything about one page."""

from __future__ import annotations

from pathlib import Path

import pytest

from hvolab.errors import UsageError
from hvolab_vmcore.core.snapshot import open_snapshot
from hvolab_vmcore.page.view import view_page
from hvolab_vmcore.scan.scan import scan
from tests.plugins.hvolab_vmcore.changed_cores import (
    FIRST_FOLIO,
    OPTIMIZED_2M,
    changed,
    pa_of,
    scanned,
    slot_of,
    va_of,
)


def test_the_place_of_a_struct_page_is_that_of_its_mapping() -> None:
    place = view_page(scanned(OPTIMIZED_2M), FIRST_FOLIO + 130).struct_page
    assert place.va == va_of(FIRST_FOLIO + 130)
    assert place.pa == pa_of(OPTIMIZED_2M, va_of(FIRST_FOLIO + 130))
    assert (place.index, place.state, place.mapped, place.writable) == (2, "saved", True, False)
    assert place.bytes is not None
    assert len(place.bytes) == 128


def test_findings_about_a_struct_page_are_with_it(tmp_path: Path) -> None:
    slot, raw = slot_of(OPTIMIZED_2M, va_of(FIRST_FOLIO, 3))
    found = scan(open_snapshot(changed(OPTIMIZED_2M, {slot: raw | 2}, tmp_path / "changed.core")))
    kinds = {page: [one.kind for one in view_page(found, FIRST_FOLIO + 64 * page).findings] for page in (2, 3, 4)}
    assert kinds == {2: [], 3: ["writable-tail"], 4: []}


def test_a_pfn_that_cannot_be_is_refused() -> None:
    with pytest.raises(UsageError, match="there is no PFN 0x10000000000"):
        view_page(scanned(OPTIMIZED_2M), 1 << 40)
