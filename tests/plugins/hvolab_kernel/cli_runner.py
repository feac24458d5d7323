# SPDX-License-Identifier: GPL-2.0-only
"""Runs of the command line, and paths of fetched kernel images."""

from __future__ import annotations

import functools
from hashlib import sha256
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from hvolab.cli.app import build_app
from hvolab_vmlinux.kernel import Kernel
from tests.kernel_images import images_directory
from tests.schemas import fitting


@functools.cache
def _digest_of(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def image_of(kernel: Kernel) -> str:
    """Return the path of a fetched kernel image."""
    return next(str(path) for path in images_directory().glob("*.image") if _digest_of(path) == kernel.image.digest)


def hvolab(*arguments: str | Path) -> Result:
    """Run a command with these arguments."""
    return CliRunner().invoke(build_app(), [str(argument) for argument in arguments])


def as_json(command: str, *arguments: str | Path) -> Any:
    """Run a command with these arguments, and return its JSON, which fits its published schema."""
    return fitting(command, hvolab(command, *arguments, "--json").stdout)
