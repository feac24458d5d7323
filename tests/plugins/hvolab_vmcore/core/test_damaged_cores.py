"""Cores that are cut, garbled, or lead astray: a result or a sentence, never a traceback or an endless loop."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from hvolab.errors import CoreFileError, HvolabError
from hvolab_vmcore.commands.report import scan_data
from hvolab_vmcore.core.snapshot import open_snapshot
from hvolab_vmcore.replay.replay import replay
from hvolab_vmcore.scan.scan import scan
from tests.plugins.hvolab_vmcore.changed_cores import (
    FIRST_FOLIO,
    GIGANTIC,
    OPTIMIZED_1G,
    OPTIMIZED_2M,
    RESTORED,
    changed,
    damaged,
    scanned,
    va_of,
    with_text,
)


def entry_pa(core: Path, va: int, level: str) -> tuple[int, int]:
    """PA of the entry that the walk for ``va`` passes at ``level``, and the entry."""
    (step,) = (step for step in scanned(core).snapshot.tables.walk(va) if step.level.name == level)
    return step.slot, step.raw


@pytest.mark.slow
@pytest.mark.parametrize("core", [OPTIMIZED_2M, OPTIMIZED_1G], ids=lambda core: core.name)
def test_damaged_cores_are_inspected_or_refused(core: Path, tmp_path: Path) -> None:
    path, outcomes = tmp_path / "damaged.core", Counter[str]()
    for content in damaged(core, 150, seed=1):
        path.write_bytes(content)
        try:
            found = scan(open_snapshot(path))
            scan_data(found)
        except HvolabError as error:
            assert error.what  # noqa: PT017 - some copies can still be read
            outcomes["refused"] += 1
        else:
            outcomes["findings" if found.kinds() else "fine"] += 1
    assert min(outcomes[kind] for kind in ("refused", "findings", "fine")) > 10


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "after", "which"), [(OPTIMIZED_1G, RESTORED, "before"), (OPTIMIZED_2M, OPTIMIZED_1G, "after")]
)
def test_damaged_cores_are_replayed_or_refused(before: Path, after: Path, which: str, tmp_path: Path) -> None:
    path, outcomes = tmp_path / "damaged.core", Counter[str]()
    for content in damaged(before if which == "before" else after, 25, seed=2):
        path.write_bytes(content)
        try:
            outcome = replay(path if which == "before" else before, path if which == "after" else after)
        except HvolabError as error:
            assert error.what  # noqa: PT017 - some copies can still be read
            outcomes["refused"] += 1
        else:
            outcome.as_dict()
            outcomes["replayed"] += 1
    assert min(outcomes[kind] for kind in ("refused", "replayed")) > 3


@pytest.mark.parametrize("level", ["pgd", "pud", "pmd"])
def test_page_tables_that_loop_are_refused(tmp_path: Path, level: str) -> None:
    slot, raw = entry_pa(OPTIMIZED_2M, va_of(FIRST_FOLIO), level)
    root = scanned(OPTIMIZED_2M).snapshot.tables.root
    core = changed(OPTIMIZED_2M, {slot: raw & 0xFFF | root}, tmp_path / "changed.core")
    with pytest.raises(CoreFileError, match="the page tables loop: two entries lead to the table at PA 0x2c22000"):
        scan(open_snapshot(core))


def test_two_entries_that_lead_to_one_table_are_refused(tmp_path: Path) -> None:
    slot, _ = entry_pa(OPTIMIZED_1G, va_of(GIGANTIC), "pmd")
    _, other = entry_pa(OPTIMIZED_1G, va_of(GIGANTIC, 512), "pmd")
    core = changed(OPTIMIZED_1G, {slot: other}, tmp_path / "changed.core")
    with pytest.raises(CoreFileError, match="the page tables loop"):
        scan(open_snapshot(core))


def test_a_table_beyond_physical_memory_is_refused_with_its_entry(tmp_path: Path) -> None:
    slot, raw = entry_pa(OPTIMIZED_2M, va_of(FIRST_FOLIO), "pmd")
    outside = raw | 1 << 50
    core = changed(OPTIMIZED_2M, {slot: outside}, tmp_path / "changed.core")
    with pytest.raises(CoreFileError, match="a page table points outside") as caught:
        scan(open_snapshot(core))
    assert f"{outside:#018x}" in caught.value.where


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


def test_a_memory_encryption_mask_that_is_not_described_is_refused(tmp_path: Path) -> None:
    core = with_text(OPTIMIZED_2M, b"NUMBER(sme_mask)=0", b"NUMBER(sme_mask)=8", tmp_path / "changed.core")
    with pytest.raises(HvolabError, match="the kernel's sme_mask is 0x8"):
        open_snapshot(core)
