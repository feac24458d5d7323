# SPDX-License-Identifier: GPL-2.0-only
"""Architectures as kbuild and compilers name them, and the compiler for an image."""

from __future__ import annotations

import functools
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from hvolab.errors import HvolabError, UsageError
from hvolab_vmlinux.kernel import Kernel

#: The compiler in a kernel's banner. Kernel: init/version-timestamp.c, v6.12.
_COMPILER: Final = re.compile(r"\) \((\S*(?:gcc|clang)\S*) ")
_BANNER_BYTES: Final = 512
#: Debian's name of the architecture of this machine: its headers choose their build tools by it.
_DEBIAN_NAMES: Final = {"x86_64": "amd64", "aarch64": "arm64"}


class BuildError(HvolabError):
    """An object cannot be built: the compiler refuses the file, or kbuild cannot list its arguments.

    Read the messages of the compiler above the error; `--cc` selects another compiler.
    """


@dataclass(frozen=True)
class BuildArchitecture:
    """An architecture as kbuild names it.

    arch    its ARCH
    symbol  the option that its configurations set
    triple  prefix of its GNU tools
    host    `uname -m` of its machines
    """

    arch: str
    symbol: str
    triple: str
    host: str

    @property
    def native(self) -> bool:
        """True on a machine of this architecture."""
        return platform.machine() == self.host


ARCHITECTURES: Final = {
    "EM_X86_64": BuildArchitecture("x86", "X86_64", "x86_64-linux-gnu", "x86_64"),
    "EM_AARCH64": BuildArchitecture("arm64", "ARM64", "aarch64-linux-gnu", "aarch64"),
    "EM_RISCV": BuildArchitecture("riscv", "RISCV", "riscv64-linux-gnu", "riscv64"),
}


@dataclass(frozen=True)
class Compiler:
    """A C compiler.

    path     its command
    version  the first line of its `--version`
    """

    path: str
    version: str


def banner_of(kernel: Kernel) -> str:
    """Return a kernel's banner, an empty string where it has none."""
    va = kernel.table and kernel.table.find("linux_banner")
    return kernel.image.read(va, _BANNER_BYTES).split(b"\0")[0].decode("latin-1") if va else ""


def compiler_for(kernel: Kernel, name: str | None = None) -> Compiler:
    """Return the compiler of that name; by default the image's own, else another one for its architecture.

    Raises UsageError where it is not installed.
    """
    names = [name] if name else list(_candidates(kernel))
    for one in names:
        path = shutil.which(one)
        if path is not None:
            return Compiler(path, _version(path))
    triple = ARCHITECTURES[kernel.image.machine].triple
    raise UsageError(
        f"found no compiler {' or '.join(dict.fromkeys(names))}",
        where=f"PATH={os.environ.get('PATH', '')}",
        hint=f"install one: apt-get install gcc-{triple.replace('_', '-')}, or apt-get install clang",
    )


def _candidates(kernel: Kernel) -> Iterator[str]:
    """Yield commands: the compiler in the banner, then gcc for the architecture, then clang, which has all of them."""
    architecture = ARCHITECTURES[kernel.image.machine]
    found = _COMPILER.search(banner_of(kernel))
    if found is not None:
        yield found[1]
        if architecture.native:
            yield found[1].removeprefix(f"{architecture.triple}-")
    yield f"{architecture.triple}-gcc"
    if architecture.native:
        yield "gcc"
    yield "clang"


@functools.cache
def _version(path: str) -> str:
    return run([path, "--version"]).stdout.partition("\n")[0]


def run(command: Sequence[str], *, cwd: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command of the toolchain, with messages in ASCII and no setting of an outer make; raises UsageError."""
    outer = ("MAKE", "KBUILD_", "ARCH", "CROSS_COMPILE", "KCFLAGS", "LC_", "LANG")
    environment = {name: text for name, text in os.environ.items() if not name.startswith(outer)}
    try:
        return subprocess.run(  # noqa: S603 - a compiler or make, which the user chose
            command, cwd=cwd, env=environment | {"LC_ALL": "C"}, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise UsageError(
            f"{command[0]} cannot be started: {error}", hint="install it: apt-get install make gcc"
        ) from error


def debian_host() -> str:
    """Return Debian's name of the architecture of this machine."""
    return _DEBIAN_NAMES.get(platform.machine(), platform.machine())
