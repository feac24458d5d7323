# SPDX-License-Identifier: GPL-2.0-only
"""Boots: one of Debian's 6.12.117 for all tests that need one, half a minute of a CPU; images that others boot."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hvolab_boot.qemu.machines import MACHINES
from tests.core.cli.conftest import own_environment
from tests.kernel_images import command_for, images_directory

NAME = "x86_64-6.12"
PLAN = "2M=8, free"
#: Compiler of the guest's program by the ELF machine, and its package.
COMPILERS = {
    "EM_X86_64": ("gcc", "gcc"),
    "EM_AARCH64": ("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu"),
    "EM_RISCV": ("riscv64-linux-gnu-gcc", "gcc-riscv64-linux-gnu"),
}


def image_to_boot(name: str, elf_machine: str) -> Path:
    """Return the image of that name; skips where it, QEMU or a compiler is missing."""
    path = images_directory() / f"{name}.image"
    if not path.exists():
        pytest.skip(f"there is no image: {command_for(name)}")
    machine = MACHINES[elf_machine]
    for program, package in ((machine.program, machine.package), COMPILERS[elf_machine]):
        if shutil.which(program) is None:
            pytest.skip(f"there is no {program}: apt-get install {package}")
    return path


def boot(image: Path, *options: str) -> tuple[int, dict[str, Any]]:
    """Return exit code and JSON of a boot under emulation."""
    command = [sys.executable, "-m", "hvolab", "boot", str(image), *options, "--accel", "tcg", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env=own_environment(), check=False)
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


@pytest.fixture(scope="session")
def arm64_image(request: pytest.FixtureRequest) -> Path:
    """The arm64 image of the name that the test has as a parameter."""
    return image_to_boot(request.param, "EM_AARCH64")


@pytest.fixture(scope="session")
def bootable() -> Path:
    """The image of Debian's 6.12.117."""
    return image_to_boot(NAME, "EM_X86_64")


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the boot's cores."""
    return tmp_path_factory.mktemp("boot") / "cores"


@pytest.fixture(scope="session")
def booted(bootable: Path, kept: Path) -> tuple[int, dict[str, Any]]:
    """Exit code and JSON of a boot with the default options, but under emulation."""
    return boot(bootable, "--do", PLAN, "--keep", str(kept))
