"""`hvolab new arch`: a package that is valid as it is written, names that are refused, folders that are left alone."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from hvolab.authoring import write_architecture
from hvolab.cli.app import build_app
from hvolab.conformance.check import CheckStatus
from hvolab.errors import UsageError
from hvolab.plugin import PluginRegistry
from tests.core.conformance.kit import outcomes


def new_arch(*arguments: str) -> Result:
    return CliRunner().invoke(build_app(), ["new", "arch", *arguments], prog_name="hvolab")


@pytest.fixture
def described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PluginRegistry:
    """A registry with the plugin that was written, imported from where it was written."""
    write_architecture("Novel_64", tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path / "hvolab-novel-64" / "src"))
    import hvolab_novel_64  # type: ignore[import-not-found]  # noqa: PLC0415 - there since a moment

    registry = PluginRegistry(strict=True)
    registry.register(hvolab_novel_64, "novel")
    yield_modules = [name for name in sys.modules if name.partition(".")[0] == "hvolab_novel_64"]
    for name in yield_modules:
        monkeypatch.delitem(sys.modules, name)
    return registry


def test_what_is_written_is_a_valid_description_and_says_that_it_is_made_up(described: PluginRegistry) -> None:
    architecture = described.architecture("Novel_64")
    assert "made up" in architecture.title
    assert all(stage in architecture.title for stage in ("1 geometry", "4 traits", "7 emulation"))


def test_what_is_written_conforms(described: PluginRegistry) -> None:
    verdicts = [outcome.verdict for outcome in outcomes(described.architecture("Novel_64"))]
    assert set(verdicts) == {CheckStatus.PASSED, CheckStatus.SKIPPED}
    assert verdicts.count(CheckStatus.PASSED) > verdicts.count(CheckStatus.SKIPPED)


def test_every_file_is_told_and_json_tells_them_too(tmp_path: Path) -> None:
    told = new_arch("one", "--directory", str(tmp_path))
    assert told.exit_code == 0
    package = tmp_path / "hvolab-one"
    files = sorted(str(path) for path in package.rglob("*") if path.is_file())
    assert told.stdout.split("\n\n")[0].splitlines() == files
    assert not [path for path in files if path.endswith(".template")]
    data = json.loads(new_arch("two", "--directory", str(tmp_path), "--json").stdout)
    assert data == {"name": "two", "files": [path.replace("one", "two") for path in files]}


@pytest.mark.parametrize("name", ["a-b", "64bit", "", "ärm", "a.b", "../up", "a b"])
def test_a_name_that_no_package_can_have_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a valid name of an architecture"):
        write_architecture(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


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
