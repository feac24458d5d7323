# SPDX-License-Identifier: GPL-2.0-only
"""`python -m hvolab` is the command `hvolab`."""

from __future__ import annotations

import subprocess
import sys

import hvolab
from tests.core.cli.conftest import own_environment


def test_the_module_runs_the_command_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hvolab", "--version"],
        check=True,
        capture_output=True,
        text=True,
        env=own_environment(),
    )
    assert done.stdout == f"hvolab {hvolab.__version__}\n"
