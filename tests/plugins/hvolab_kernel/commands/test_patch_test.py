# SPDX-License-Identifier: GPL-2.0-only
"""`hvolab patch-test` as a user types it."""

from __future__ import annotations

import difflib
import shutil
from pathlib import Path

import pytest

from tests.plugins.hvolab_kernel.cli_runner import as_json, hvolab
from tests.plugins.hvolab_kernel.commands.developer_files import SLIP, DeveloperFiles, developer_files

pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")


def series(files: DeveloperFiles, *edits: tuple[str, str]) -> list[Path]:
    """Write a patch for each edit, one upon another."""
    text, patches = files.source.read_text(), []
    for number, (old, new) in enumerate(edits, start=1):
        edited = text.replace(old, new, 1)
        before, after = (one.splitlines(keepends=True) for one in (text, edited))
        diff = difflib.unified_diff(before, after, "a/mm/hugetlb_vmemmap.c", "b/mm/hugetlb_vmemmap.c")
        patches.append(files.source.parent / f"{number}.patch")
        patches[-1].write_text(f"Subject: [PATCH {number}/2] mm: edit {number}\n\n{''.join(diff)}")
        text = edited
    return patches


@pytest.mark.slow
def test_each_patch_is_reported_with_what_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = developer_files(tmp_path, monkeypatch)
    if shutil.which("git") is None:
        pytest.skip("there is no git: apt-get install git")
    patches = series(files, ("static int vmemmap_split_pmd(", "static noinline int vmemmap_split_pmd("), SLIP)
    command = ("patch-test", files.image, "--headers", files.headers, "--file", files.source, "--cc", "gcc")
    scenario = ("--scenario", "2M boot: optimize twice")
    result = hvolab(*command, *patches, *scenario)
    shown = " ".join(result.stdout.split())
    assert result.exit_code == 1
    assert "1/2 mm: edit 1 no difference from the code before in 1 cases" in shown
    assert "2/2 mm: edit 2 1 of 1 cases differ from the code before" in shown
    assert "broken: counters: nr_memmap_pages 0 + nr_memmap_boot_pages 2040 = 2040" in shown
    data = as_json(*command, patches[0], *scenario)
    assert [(one["subject"], one["differing"]) for one in data] == [("mm: edit 1", [])]
    late = hvolab(*command, patches[1], patches[1], *scenario)
    assert late.exit_code == 2
    assert "2.patch does not apply" in late.stderr


def test_a_file_that_is_no_patch_ends_with_2(image: Path) -> None:
    result = hvolab("patch-test", image, image)
    assert result.exit_code == 2
    assert "changes no file" in result.stderr
