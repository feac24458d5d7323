# SPDX-License-Identifier: GPL-2.0-only
"""Kernels from 5.14 to 6.10: optimized and other huge pages, THP and DAX are counted right."""

from __future__ import annotations

from pathlib import Path

import pytest

from hvolab_vmcore.commands.report_data import scan_data
from hvolab_vmcore.page.view import view_page
from hvolab_vmcore.scan.releases import open_scan
from hvolab_vmcore.scan.scan import Scan
from tests.plugins.hvolab_vmcore.command_line import assert_refused
from tests.plugins.hvolab_vmcore.old_kernels import DAX, KERNELS, NOT_OPTIMIZED, OPTIMIZED, THP, VMEMMAP, core_of


def scanned(name: str, folder: Path) -> Scan:
    path = folder / f"{name}.core"
    path.write_bytes(core_of(KERNELS[name]))
    return open_scan(path)


@pytest.mark.parametrize("name", KERNELS)
def test_huge_pages_of_each_kind_are_counted_right(name: str, tmp_path: Path) -> None:
    found, kernel = scanned(name, tmp_path), KERNELS[name]
    (size,) = (one for one in scan_data(found)["sizes"] if one["order"] == 9)
    assert (size["optimized"], size["not_optimized"]) == (len(OPTIMIZED), len(NOT_OPTIMIZED))
    assert size["device_dax"] == int(kernel.dax)
    assert size["frames_saved"] == len(OPTIMIZED) * (8 - kernel.kept)
    pages = {int(page["pfn"], 16) >> 9: page for page in scan_data(found)["huge_pages"]}
    assert set(pages) == {*OPTIMIZED, *NOT_OPTIMIZED, *([DAX] if kernel.dax else [])}
    assert [pages[block]["bit"] for block in (*OPTIMIZED, *NOT_OPTIMIZED)] == [True] * 3 + [False] * 2
    assert found.snapshot.vmemmap == VMEMMAP


@pytest.mark.parametrize("name", KERNELS)
def test_nothing_is_wrong_with_them(name: str, tmp_path: Path) -> None:
    assert scanned(name, tmp_path).kinds() == {}


@pytest.mark.parametrize("name", KERNELS)
def test_a_page_of_each_kind_is_what_it_is(name: str, tmp_path: Path) -> None:
    found, kept = scanned(name, tmp_path), KERNELS[name].kept
    in_kept, shared, plain, thp = (
        view_page(found, pfn).owner for pfn in (63, 64 * kept + 1, (3 << 9) + 65, (THP << 9) + 65)
    )
    roles = [one.role for one in (in_kept, shared, plain, thp)]
    assert roles == ["huge page tail", "shared tail", "huge page tail", "compound tail"]
    assert shared.number == 64 * (kept - 1) + 1
    assert thp.folio == THP << 9
    assert view_page(found, 64 * kept).owner.role == ("fake head" if kept == 1 else "shared tail")


def test_a_kernel_that_no_release_models_is_not_replayed(tmp_path: Path) -> None:
    scanned("5.14", tmp_path)
    assert_refused("no modeled release does", "replay", tmp_path / "5.14.core", tmp_path / "5.14.core")


def test_two_kept_pages_are_named_as_of_older_kernels(tmp_path: Path) -> None:
    found = scanned("5.14", tmp_path)
    assert any("two pages of vmemmap are kept" in text for text in found.snapshot.choice.contradict)
    assert {page["tails_share"] for page in scan_data(found)["huge_pages"]} == {"second page", None}
