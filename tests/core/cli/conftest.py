# SPDX-License-Identifier: GPL-2.0-only
"""The command line, run in this process or in one of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from hvolab.arch import Target
from hvolab.cli.app import build_app
from hvolab.plugin import registry

Invoke = Callable[..., Result]
Spawn = Callable[..., "subprocess.CompletedProcess[str]"]

#: What turns color on or off, or narrows tables, in the environment of whoever runs the tests.
_DISTURBING = ("COLUMNS", "TERMINAL_WIDTH", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "GITHUB_ACTIONS")


@pytest.fixture(autouse=True)
def _plain_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*_DISTURBING, "HVOLAB_STRICT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def invoke() -> Invoke:
    """Run hvolab with some arguments in this process; standard output and error are kept apart."""

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(build_app(), arguments, prog_name="hvolab")

    return run


@pytest.fixture
def invoke_json(invoke: Invoke) -> Callable[..., Any]:
    """What hvolab prints as JSON where everything is as declared."""

    def run(*arguments: str) -> Any:
        result = invoke(*arguments, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    return run


def targets() -> list[Target]:
    """Return every architecture in every mode, profile and release."""
    return [
        architecture.select(mode.name, profile=profile, release=release)
        for architecture in registry().architectures().values()
        for mode in architecture.modes
        for profile in architecture.profiles
        for release in architecture.releases
    ]


def own_environment(**changes: str) -> dict[str, str]:
    """The environment of a process that imports what this one does."""
    paths = os.pathsep.join(path for path in sys.path if path)
    return {**os.environ, "PYTHONPATH": paths, "PYTHONIOENCODING": "utf-8", **changes}


@pytest.fixture
def spawn() -> Spawn:
    """Run `python -m hvolab` with some arguments in a process of its own, as a user does."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "hvolab", *arguments],
            check=False,
            capture_output=True,
            text=True,
            encoding="utf-8",
            env=own_environment(**environment),
        )

    return run
