# SPDX-License-Identifier: GPL-2.0-only
"""One boot of Debian's 6.12.117 for all tests that need one: half a minute of a CPU."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.core.cli.conftest import own_environment
from tests.kernel_images import command_for, images_directory

NAME = "x86_64-6.12"
PLAN = "2M=8, free"


@pytest.fixture(scope="session")
def bootable() -> Path:
    """The image; skips where it, QEMU or a compiler is missing."""
    path = images_directory() / f"{NAME}.image"
    if not path.exists():
        pytest.skip(f"there is no image: {command_for(NAME)}")
    for program, package in (("qemu-system-x86_64", "qemu-system-x86"), ("gcc", "gcc")):
        if shutil.which(program) is None:
            pytest.skip(f"there is no {program}: apt-get install {package}")
    return path


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the boot's cores."""
    return tmp_path_factory.mktemp("boot") / "cores"


@pytest.fixture(scope="session")
def booted(bootable: Path, kept: Path) -> tuple[int, dict[str, Any]]:
    """Exit code and JSON of a boot with the default options, but under emulation."""
    options = ["--do", PLAN, "--accel", "tcg", "--keep", str(kept), "--json"]
    command = [sys.executable, "-m", "hvolab", "boot", str(bootable), *options]
    done = subprocess.run(command, capture_output=True, text=True, env=own_environment(), check=False)
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)
