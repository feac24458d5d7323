# SPDX-License-Identifier: GPL-2.0-only
"""The lines for git bisect find the commit, leave out what is not decided, and end for wrong use."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hvolab.cli.app import build_app
from hvolab_boot.commands.bisect import bisect_lines

GIT = pytest.mark.skipif(shutil.which("git") is None, reason="there is no git: apt-get install git")


def searched(folder: Path, codes: list[int]) -> subprocess.CompletedProcess[str]:
    """Run the lines in a tree with a commit for each exit code of `hvolab boot`; of 9 its build fails."""
    programs, tree = folder / "programs", folder / "tree"
    programs.mkdir()
    tree.mkdir()
    for name, text in (("make", "! grep -qx 9 code"), ("hvolab", "[ $1 = boot ] && exit $(cat code)")):
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "GIT_CONFIG_GLOBAL": os.devnull,
        **{f"GIT_{who}_{what}": "tester@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    }

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)

    run("git", "init", "-q")
    for number, code in enumerate(codes):
        (tree / "code").write_text(f"{code}\n")
        (tree / "number").write_text(f"{number}\n")
        run("git", "add", ".")
        run("git", "commit", "-q", "-m", f"commit {number}")
        run("git", "tag", f"v{number}")
    return run("sh", "-c", bisect_lines(Path("arch/x86/boot/bzImage"), (), "v0", f"v{len(codes) - 1}"))


@GIT
@pytest.mark.slow
@pytest.mark.parametrize("codes", [[0, 0, 0, 1, 1, 1, 1], [0, 0, 3, 0, 9, 0, 1]], ids=["plain", "left out"])
def test_the_first_bad_commit_is_found(codes: list[int], tmp_path: Path) -> None:
    done = searched(tmp_path, codes)
    assert done.returncode == 0, done.stderr
    subject = f"commit {codes.index(1)}"
    assert "is the first bad commit" in done.stdout
    assert subject in done.stdout.partition("is the first bad commit")[2]


@GIT
@pytest.mark.slow
def test_wrong_use_ends_the_search(tmp_path: Path) -> None:
    done = searched(tmp_path, [0, 2, 2, 2, 1])
    assert done.returncode != 0
    assert "255" in done.stderr


def test_a_folder_for_one_boot_is_refused() -> None:
    done = CliRunner().invoke(build_app(), ["boot", "bzImage", "--bisect", "v1", "v2", "--keep", "cores"])
    assert (done.exit_code, "--keep has one folder" in done.stderr) == (2, True)


def test_options_that_were_given_are_those_of_each_boot() -> None:
    arguments = ["boot", "bzImage", "--bisect", "v1", "v2", "--do", "2M=4, free", "--cpus", "2", "--json"]
    done = CliRunner().invoke(build_app(), arguments)
    assert done.exit_code == 0
    assert "git bisect start v2 v1\n" in done.stdout
    assert "hvolab boot bzImage --do '\"'\"'2M=4, free'\"'\"' --cpus 2 --json\n" in done.stdout
