# SPDX-License-Identifier: GPL-2.0-only
"""`hvolab new arch`: files that are listed, names that are refused, folders that are left alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from hvolab.cli.app import build_app


def new_arch(*arguments: str) -> Result:
    return CliRunner().invoke(build_app(), ["new", "arch", *arguments], prog_name="hvolab")


def test_every_file_is_told_and_json_tells_them_too(tmp_path: Path) -> None:
    told = new_arch("one", "--directory", str(tmp_path))
    assert told.exit_code == 0
    package = tmp_path / "hvolab-one"
    files = sorted(str(path) for path in package.rglob("*") if path.is_file())
    assert told.stdout.split("\n\n")[0].splitlines() == files
    assert not [path for path in files if path.endswith(".template")]
    data = json.loads(new_arch("two", "--directory", str(tmp_path), "--json").stdout)
    assert data == {"name": "two", "files": [path.replace("one", "two") for path in files]}


@pytest.mark.parametrize("name", ["x86_64", "amd64", "AARCH64", "riscv"])
def test_a_name_that_is_taken_is_refused(name: str, tmp_path: Path) -> None:
    result = new_arch(name, "--directory", str(tmp_path))
    assert result.exit_code == 2
    assert "is the name or an alias of an installed architecture" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_name_whose_package_is_taken_is_refused(tmp_path: Path) -> None:
    result = new_arch("vmcore", "--directory", str(tmp_path))
    assert result.exit_code == 2
    assert "a Python package hvolab_vmcore exists already" in result.stderr


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "hvolab-here").mkdir()
    result = new_arch("here", "--directory", str(tmp_path))
    assert result.exit_code == 2
    assert "exists already" in result.stderr
    assert list((tmp_path / "hvolab-here").iterdir()) == []


def test_a_place_that_is_no_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    result = new_arch("lost", "--directory", str(tmp_path / "file"))
    assert result.exit_code == 2
    assert "cannot be written" in result.stderr
