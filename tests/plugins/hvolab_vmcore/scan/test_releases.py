# SPDX-License-Identifier: GPL-2.0-only
"""Release of a core by its memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from hvolab_vmcore.core.snapshot import SnapshotOptions
from hvolab_vmcore.scan.releases import memory_evidence, open_scan, with_choice
from tests.plugins.hvolab_vmcore.changed_cores import (
    BOOT,
    FIRST_FOLIO,
    MADE_CORES,
    MADE_STATES,
    OPTIMIZED_1G,
    OPTIMIZED_2M,
    REPORTS,
    STAGES,
    WRONG_OPTIMIZED,
    WRONG_RESTORED,
    changed,
    made,
    plain,
    scanned,
    slot_of,
    va_of,
)

MADE = sorted(folder.name for folder in MADE_CORES.iterdir() if folder.is_dir())
RW, DIRTY = 1 << 1, 1 << 6


def chosen(core: Path, options: SnapshotOptions | None = None) -> tuple[str, list[str]]:
    """Return the release of a core, and the releases that fit as well."""
    choice = open_scan(core, options).snapshot.choice
    return choice.release.name, [release.name for release in choice.as_well]


@pytest.mark.parametrize("state", MADE_STATES)
@pytest.mark.parametrize("kernel", MADE)
def test_each_core_has_the_release_of_its_kernel(kernel: str, state: str) -> None:
    release, as_well = chosen(made(kernel, state))
    alike = {"0-boot": ("6.12", ["6.12.117"]), "4-restored": ("6.12.117", [])}
    if kernel.endswith("6.12.117"):
        assert (release, as_well) == alike.get(state, ("6.12.117", ["6.12"]))
    else:
        assert (release, as_well) == (kernel.partition("-")[2], [])


@pytest.mark.parametrize("folder", [name for name, report in REPORTS.items() if "release" not in report])
def test_a_booted_6_12_is_not_told_from_its_later_stable_kernel(folder: str) -> None:
    assert {str(chosen(core)) for core in STAGES[folder]} == {str(("6.12", ["6.12.117"]))}


@pytest.mark.parametrize("folder", [name for name, report in REPORTS.items() if "release" in report])
def test_a_booted_kernel_has_its_release_or_cannot_be_told_from_another(folder: str) -> None:
    release = REPORTS[folder]["release"]
    for core in STAGES[folder]:
        name, as_well = chosen(core)
        assert release in {name, *as_well}
        assert {name, *as_well} <= {release, "6.12" if release == "6.12.117" else release}


def test_a_wrong_restore_tells_the_release() -> None:
    assert chosen(WRONG_OPTIMIZED) == ("6.12.117", ["6.12"])
    assert chosen(WRONG_RESTORED) == ("6.12.117", [])


def test_the_version_of_a_kernel_counts_for_nothing(tmp_path: Path) -> None:
    for kernel, state, version in (("x86_64-7.2", "1-four-2M", b"7.2.13"), ("x86_64-6.1", "0-boot", b"6.1.0-")):
        core = tmp_path / "unknown.core"
        content = plain(made(kernel, state))
        assert content.count(b"OSRELEASE=" + version) == 1
        core.write_bytes(content.replace(b"OSRELEASE=" + version, b"OSRELEASE=" + b"99.9.9"))
        assert chosen(core) == (kernel.partition("-")[2], [])


def test_an_option_overrules_the_core() -> None:
    snapshot = open_scan(made("x86_64-7.2", "1-four-2M"), SnapshotOptions(release="6.1")).snapshot
    assert (snapshot.choice.release.name, snapshot.choice.named) == ("6.1", True)
    assert snapshot.target.release.name == "6.1"


@pytest.mark.parametrize(
    ("kernel", "texts"),
    [
        ("x86_64-6.1", ["head's frame", "keep their frames", "protection 0x8000000000000161", "an ordinary tail"]),
        ("x86_64-6.12.117", ["head's frame", "in new frames", "protection 0x8000000000000121", "other fields"]),
        (
            "x86_64-7.2",
            ["a frame that is not the head's", "in new frames", "protection 0x8000000000000121", "other fields"],
        ),
    ],
)
def test_tails_heads_and_protection_are_facts(kernel: str, texts: list[str]) -> None:
    found = [one.text for one in memory_evidence(scanned(made(kernel, "3-one-1G")))]
    assert len(found) == len(texts)
    assert all(text in fact for fact, text in zip(found, texts, strict=True))


def test_a_core_without_optimized_pages_shows_none_of_them() -> None:
    assert list(memory_evidence(scanned(BOOT))) == []


@pytest.mark.slow
def test_heads_without_neighbors_show_nothing(tmp_path: Path) -> None:
    # all other entries of the only table are cleared
    optimized = range(va_of(FIRST_FOLIO), va_of(FIRST_FOLIO + 8 * 512), 4096)
    table = va_of(0)
    words = {slot_of(OPTIMIZED_2M, va)[0]: 0 for va in range(table, table + (2 << 20), 4096) if va not in optimized}
    found = open_scan(changed(OPTIMIZED_2M, words, tmp_path / "changed.core"))
    assert not any("frames" in one.text for one in memory_evidence(found))


def test_a_fact_that_no_release_fits_whole_contradicts_the_nearest(tmp_path: Path) -> None:
    # tails as since 7.x in a kernel whose tails point to their head
    words = {}
    for pfn in range(FIRST_FOLIO, FIRST_FOLIO + 8 * 512, 512):
        for page in range(1, 8):
            slot, raw = slot_of(OPTIMIZED_2M, va_of(pfn, page))
            words[slot] = raw & 0x8000000000000FFF | 0x2345000
    choice = open_scan(changed(OPTIMIZED_2M, words, tmp_path / "changed.core")).snapshot.choice
    assert choice.release.name == "6.12"
    assert choice.contradict == ("tails are mapped to a frame that is not the head's",)
    assert [release.name for release in choice.as_well] == ["6.12.117", "7.2"]


def test_the_other_core_of_a_boot_counts_too() -> None:
    before = with_choice(scanned(WRONG_OPTIMIZED), scanned(WRONG_RESTORED))
    assert before.snapshot.target.release.name == "6.12.117"
    assert [huge.optimized.sum() for huge in before.huge_pages] == [0, 8]
    same = with_choice(scanned(OPTIMIZED_1G))
    assert same.pages is scanned(OPTIMIZED_1G).pages
