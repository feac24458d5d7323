# SPDX-License-Identifier: GPL-2.0-only
"""Commands of hvolab, run as a user types them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from hvolab.cli.app import build_app
from tests.schemas import fitting


def hvolab(*arguments: str | Path) -> Result:
    """Run a command."""
    return CliRunner().invoke(build_app(), [str(argument) for argument in arguments])


def as_json(command: str, *arguments: str | Path) -> Any:
    """Run a command with --json and return the parsed output, which fits its published schema."""
    return fitting(command, hvolab(command, *arguments, "--json").stdout)


def assert_refused(sentence: str, *arguments: str | Path) -> None:
    """Check that a command ends with exit code 2 and an error with that sentence."""
    result = hvolab(*arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith("error[")
    assert sentence in result.stderr
    assert "Traceback" not in result.output
