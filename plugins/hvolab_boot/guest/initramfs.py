# SPDX-License-Identifier: GPL-2.0-only
"""The guest's one process: a static program, built from `init.c` for the architecture of a kernel, and kept."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Final

from hvolab.user_cache import cache_directory
from hvolab_boot.guest.archive import initramfs_of
from hvolab_kernel.build.toolchain import ARCHITECTURES, BuildError, Compiler, compiler_for, run
from hvolab_vmlinux.kernel import Kernel

SOURCE: Final = Path(__file__).with_name("init.c")
#: Arguments of every compiler: no library, no headers, no position-independent code.
_ARGUMENTS: Final = (
    *("-O2", "-ffreestanding", "-fno-stack-protector", "-fno-pic", "-fno-pie", "-nostdlib", "-static", "-no-pie", "-s"),
    *("-Wl,--no-relax", "-Wl,--build-id=none"),
)
#: Arguments of clang, which has all architectures: its linker for any of them.
_CLANG: Final = "-fuse-ld=lld"


def initramfs_for(kernel: Kernel, compiler: str | None = None) -> bytes:
    """Return the initial RAM file system for a kernel; the program is built once and kept in the user's cache.

    compiler  command of the compiler; None: that of the image, else another one for its architecture

    Raises UsageError where no compiler is installed, BuildError where the compiler refuses the program.
    """
    chosen = compiler_for(kernel, compiler)
    command = [chosen.path, *_target(chosen, kernel), *_ARGUMENTS]
    source = SOURCE.read_bytes()
    key = hashlib.sha256(b"\0".join((source, *map(str.encode, (chosen.version, *command))))).hexdigest()
    kept = cache_directory() / "boot" / f"init-{kernel.image.machine}-{key[:16]}"
    if not kept.exists():
        _build(command, kept)
    return initramfs_of(kept.read_bytes())


def _target(compiler: Compiler, kernel: Kernel) -> list[str]:
    """Return the arguments that name the architecture."""
    if "clang" not in compiler.version:
        return []
    return [f"--target={ARCHITECTURES[kernel.image.machine].triple}", _CLANG]


def _build(command: list[str], path: Path) -> None:
    """Build the program at a path, which is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder) / "init"
        done = run([*command, "-o", str(made), str(SOURCE)])
        if done.returncode:
            raise BuildError(
                "the program of the guest cannot be built",
                where=" ".join(command),
                rule=done.stderr.strip(),
                hint="name another compiler: --cc gcc",
            )
        os.replace(made, path)  # noqa: PTH105 - atomic, whoever else builds it
