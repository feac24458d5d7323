# SPDX-License-Identifier: GPL-2.0-only
"""The package that `hvolab new arch` writes is valid; names of which no package can be made are refused."""

from __future__ import annotations

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


@pytest.mark.slow
def test_what_is_written_conforms(described: PluginRegistry) -> None:
    verdicts = [outcome.verdict for outcome in outcomes(described.architecture("Novel_64"))]
    assert set(verdicts) == {CheckStatus.PASSED, CheckStatus.SKIPPED}
    assert verdicts.count(CheckStatus.PASSED) > verdicts.count(CheckStatus.SKIPPED)


@pytest.mark.parametrize("name", ["a-b", "64bit", "", "ärm", "a.b", "../up", "a b"])
def test_a_name_that_no_package_can_have_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a valid name of an architecture"):
        write_architecture(name, tmp_path)
    assert list(tmp_path.iterdir()) == []
