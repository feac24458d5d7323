# SPDX-License-Identifier: GPL-2.0-only
"""`hvolab --version -v`."""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path

import pytest

import hvolab
from hvolab.cli.errors import ExitCode
from tests.core.cli.conftest import Invoke


def test_the_verbose_version_has_what_a_report_of_a_fault_needs(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HVOLAB_CACHE_DIR", str(tmp_path))
    (tmp_path / "kernels").mkdir()
    (tmp_path / "kernels" / "one").touch()
    result = invoke("--version", "-v")
    assert result.exit_code == 0
    text = "".join(result.stdout.split())  # long lines are folded, also inside a path
    assert text.startswith(f"hvolab{hvolab.__version__},in")
    for words in (
        f"Python {platform.python_implementation()} {platform.python_version()}",
        f"platform {platform.platform()}",
        f"numpy {metadata.version('numpy')}, ",
        "plugin riscv hvolab ",
        f"cache {tmp_path}: kernels 1",
        f"HVOLAB_CACHE_DIR={tmp_path}",
    ):
        assert "".join(words.split()) in text


def test_verbose_alone_and_no_command_are_wrong_use(invoke: Invoke) -> None:
    assert "hint: hvolab --version --verbose" in invoke("-v").stderr
    assert invoke("-v").exit_code == ExitCode.USAGE
