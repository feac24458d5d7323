# SPDX-License-Identifier: GPL-2.0-only
"""Runs of one object after another: what changed is at the top."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hvolab_kernel.build.objects import ObjectBuilder
from hvolab_kernel.build.tree import open_tree
from hvolab_kernel.build.watch import Stamps
from hvolab_kernel.commands import runs
from hvolab_kernel.commands.compare import Selection, Subject
from hvolab_kernel.commands.runs import RunHistory, repeat
from hvolab_vmlinux.open import open_kernel
from tests.plugins.hvolab_kernel.commands.developer_files import SLIP, DeveloperFiles, developer_files

pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")


@pytest.mark.slow
def test_each_save_is_run_and_its_changes_are_shown_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = developer_files(tmp_path, monkeypatch)
    kernel = open_kernel(files.image)
    builder = ObjectBuilder(kernel, open_tree(kernel, files.headers), "gcc")
    saves = iter(
        [
            lambda: files.edit(*SLIP),
            lambda: files.edit("static int vmemmap_split_pmd", "statik int vmemmap_split_pmd"),
            lambda: files.edit("statik int", "static int"),
        ]
    )
    monkeypatch.setattr(runs, "wait_for_change", saver(saves))
    selection = Selection(["2M boot: optimize twice"])
    history = RunHistory(Subject(files.image), selection, 1, None)
    with pytest.raises(KeyboardInterrupt, match=r"2 runs of hugetlb_vmemmap\.c"), history:
        repeat(history, builder, files.source)
    shown = capsys.readouterr()
    reports = " ".join(shown.out.split()).split("since the last run:")
    assert "No disagreement in 1 cases" in reports[0]
    assert reports[1].startswith(" 1 cases differ that agreed: 2M boot: optimize twice (1)")
    assert reports[1].endswith("The object is that of the last run.")
    assert "gcc cannot compile hugetlb_vmemmap.c" in shown.err
    assert shown.err.count("waiting for a change") == 4


def saver(saves: object) -> Callable[[Stamps], None]:
    """Return a function that saves the next edit, and interrupts after the last."""

    def save(_: Stamps) -> None:
        edit = next(saves, None)  # type: ignore[call-overload]
        if edit is None:
            raise KeyboardInterrupt
        edit()

    return save


def test_nothing_starts_before_the_first_run(tmp_path: Path) -> None:
    with RunHistory(Subject(tmp_path / "image"), Selection(), 2, "ray://nowhere") as history:
        assert (history.count, history.result) == (0, None)


def test_files_of_developers_are_edited_in_one_place(tmp_path: Path) -> None:
    path = tmp_path / "a.c"
    path.write_text("one two")
    DeveloperFiles(path, path, path).edit("two", "three")
    assert path.read_text() == "one three"
