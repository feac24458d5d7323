# SPDX-License-Identifier: GPL-2.0-only
"""The scripts of the GitHub action, in a small kernel tree."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.plugins.hvolab_kernel.commands.developer_files import SLIP, developer_files

ACTION = Path(__file__).parents[2] / "contrib/github-action"
_FILE = "mm/hugetlb_vmemmap.c"
_PERSON = {f"GIT_{role}_{what}": f"a@{what}" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def _environment(folder: Path) -> dict[str, str]:
    """Return the environment of a job: where GitHub reads output and summary from, and hvolab on PATH."""
    files = {"GITHUB_OUTPUT": str(folder / "output"), "GITHUB_STEP_SUMMARY": str(folder / "summary")}
    command = folder / "bin/hvolab"
    command.parent.mkdir(exist_ok=True)
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m hvolab "$@"\n')
    command.chmod(0o755)
    path = f"{command.parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, **_PERSON, **files, "PATH": path, "GIT_CONFIG_GLOBAL": os.devnull}


def _run(folder: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder / "linux", env=_environment(folder), check=False, capture_output=True, text=True
    )


def _commit(folder: Path, name: str, text: str, subject: str) -> None:
    place = folder / "linux" / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    for arguments in (("init", "-q"), ("add", "-A"), ("commit", "-q", "-m", subject)):
        done = _run(folder, "git", *arguments)
        assert done.returncode == 0, done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    if shutil.which("git") is None:
        pytest.skip("there is no git: apt-get install git")
    (tmp_path / "linux").mkdir()
    return tmp_path


def test_a_series_that_touches_other_files_has_nothing_to_run(folder: Path) -> None:
    _commit(folder, _FILE, "int a;\n", "base")
    _commit(folder, "mm/hugetlb.c", "int b;\n", "another file")
    assert _run(folder, ACTION / "series.sh", "HEAD~1", folder / "out").returncode == 0
    assert (folder / "output").read_text() == "patches=0\n"
    assert "nothing to run" in (folder / "summary").read_text()


def test_patches_of_the_file_are_written_with_the_file_below_them(folder: Path) -> None:
    _commit(folder, _FILE, "int a;\n", "base")
    _commit(folder, _FILE, "int b;\n", "mm: rename it")
    assert _run(folder, ACTION / "series.sh", "HEAD~1", folder / "out").returncode == 0
    assert (folder / "output").read_text() == "patches=1\n"
    assert [patch.name for patch in (folder / "out/series").iterdir()] == ["0001-mm-rename-it.patch"]
    assert (folder / "out/base" / _FILE).read_text() == "int a;\n"


@pytest.mark.slow
def test_the_exit_code_of_hvolab_is_that_of_the_job(folder: Path) -> None:
    _commit(folder, _FILE, "int a;\n", "base")
    _commit(folder, _FILE, "int b;\n", "mm: rename it")
    assert _run(folder, ACTION / "series.sh", "HEAD~1", folder / "out").returncode == 0
    done = _run(folder, ACTION / "run.sh", "vmlinux", ".", folder / "out", "--quick")
    assert (done.returncode, done.stderr) == (2, "")
    summary = (folder / "summary").read_text()
    assert summary.startswith("## hvolab patch-test: exit code 2\n\n```text\nerror")
    assert summary.endswith("```\n")


@pytest.mark.long
@pytest.mark.emulator
def test_a_slip_fails_the_job_and_is_in_its_summary(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")
    files = developer_files(folder, monkeypatch)
    for kind in ("h", "c"):
        name = f"mm/hugetlb_vmemmap.{kind}"
        _commit(folder, name, (folder / name).read_text(), f"add {name}")
    _commit(folder, _FILE, files.source.read_text().replace(*SLIP), "mm: count less")
    assert _run(folder, ACTION / "series.sh", "HEAD~1", folder / "out").returncode == 0
    scenario = ("--scenario", "2M boot: optimize twice", "--cc", "gcc")
    done = _run(folder, ACTION / "run.sh", files.image, files.headers, folder / "out", *scenario)
    assert done.returncode == 1, done.stderr
    summary = (folder / "summary").read_text()
    assert summary.startswith("## hvolab patch-test: exit code 1\n")
    assert "broken: counters" in " ".join(summary.split())
