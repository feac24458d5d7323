# SPDX-License-Identifier: GPL-2.0-only
"""Dumps with right answers: hvolab reads each of them, and gives these answers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from docs.hvolab_docs import schemas
from hvolab.errors import UsageError
from hvolab.plugin import registry
from hvolab_vmcore.core.snapshot import SnapshotOptions
from hvolab_vmcore.scan.releases import open_scan
from hvolab_vmcore.scan.scan import Scan
from hvolab_vmcore.torture.answers import DumpAnswers, TortureAnswers
from hvolab_vmcore.torture.torture import ANSWERS, FORMATS, cases, write_torture
from tests.schemas import faults


def check(folder: Path, answers: TortureAnswers) -> None:
    for one in answers.dumps:
        options = SnapshotOptions(memory_map=folder / one.options[1]) if one.options else None
        check_dump(one, open_scan(folder / one.file, options, [folder / name for name in one.parts]))


def check_dump(answers: DumpAnswers, found: Scan) -> None:
    """Check what hvolab reads in a dump against the right answers."""
    snapshot, pages = found.snapshot, found.pages
    assert (snapshot.target.mode.name, snapshot.target.release.name) == (answers.mode, answers.release), answers.file
    assert (snapshot.kernel, snapshot.vmemmap) == (answers.kernel, answers.vmemmap), answers.file
    assert (found.kinds(), found.savings.frames) == ({}, answers.frames_saved), answers.file
    pairs = (
        pair for huge in found.huge_pages for pair in zip(huge.pfns.tolist(), huge.optimized.tolist(), strict=True)
    )
    assert dict(pairs) == {one.pfn: one.optimized for one in answers.huge_pages}, answers.file
    for part in (part for one in answers.huge_pages for part in one.vmemmap):
        first = (part.va - pages.base) // answers.page_size
        rows = np.flatnonzero((pages.numbers >= first) & (pages.numbers < first + part.pages))
        assert set(pages.frames[rows].tolist()) == {part.pfn}, answers.file
        assert set(found.inspector.writable[rows].tolist()) == {part.writable}, answers.file


@pytest.mark.slow
def test_every_format_of_an_architecture_has_its_answers(tmp_path: Path) -> None:
    answers = write_torture(tmp_path / "dumps", {"x86_64": registry().architecture("x86_64")})
    assert {one.format for one in answers.dumps} == set(FORMATS)
    assert {one.release for one in answers.dumps} == {"6.1", "6.12", "6.12.117", "7.2"}
    check(tmp_path / "dumps", answers)
    stored = json.loads((tmp_path / "dumps" / ANSWERS).read_text("utf-8"))
    assert faults(json.loads(schemas.path_of("torture").read_text("utf-8")), stored) == []
    assert {name.name for name in (tmp_path / "dumps").iterdir()} >= {
        part for one in stored["dumps"] for part in (one["file"], *one["parts"])
    }


@pytest.mark.slow
def test_every_architecture_mode_and_release_has_its_answers(tmp_path: Path) -> None:
    others = {name: one for name, one in registry().architectures().items() if name != "x86_64"}
    check(tmp_path / "dumps", write_torture(tmp_path / "dumps", others))


def test_all_modes_releases_and_formats_are_cases() -> None:
    known = registry().architectures()
    found = {(target.architecture.name, target.mode.name, target.release.name, form) for target, form in cases(known)}
    for name, one in known.items():
        assert {mode for arch, mode, _, _ in found if arch == name} == {mode.name for mode in one.modes}
        assert {release for arch, _, release, _ in found if arch == name} >= {"6.1", "6.12", "6.12.117", "7.2"}
        assert {form for arch, _, _, form in found if arch == name} == set(FORMATS)


def test_a_folder_with_other_files_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(UsageError, match="is not empty"):
        write_torture(tmp_path, registry().architectures())
    with pytest.raises(UsageError, match="cannot make the folder "):
        write_torture(tmp_path / "mine" / "dumps", registry().architectures())
    assert [one.name for one in tmp_path.iterdir()] == ["mine"]
