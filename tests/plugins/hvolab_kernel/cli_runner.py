"""Runs of the command line on real kernel images."""

from __future__ import annotations

from hashlib import sha256

from typer.testing import CliRunner, Result

from hvolab.cli.app import build_app
from hvolab_vmlinux.kernel import Kernel
from tests.kernel_images import images_directory


def image_of(kernel: Kernel) -> str:
    """Return the path of a fetched kernel image."""
    return next(
        str(path)
        for path in images_directory().glob("*.image")
        if sha256(path.read_bytes()).hexdigest() == kernel.image.digest
    )


def hvolab(*arguments: str) -> Result:
    """Run a command with these arguments."""
    return CliRunner().invoke(build_app(), arguments)
