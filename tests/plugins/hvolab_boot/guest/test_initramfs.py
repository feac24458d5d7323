# SPDX-License-Identifier: GPL-2.0-only
"""The guest's program is built by each compiler that is here, and kept."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hvolab.errors import UsageError
from hvolab_boot.guest.initramfs import initramfs_for
from hvolab_kernel.build.toolchain import ARCHITECTURES, BuildError

#: e_machine of each ELF machine.
NUMBERS = {"EM_X86_64": 62, "EM_AARCH64": 183, "EM_RISCV": 243}


def kernel(machine: str) -> Any:
    """A kernel as far as a compiler is chosen by it."""
    return SimpleNamespace(image=SimpleNamespace(machine=machine), table=None)


@pytest.mark.parametrize("machine", NUMBERS)
def test_the_program_is_static_and_of_the_kernels_architecture(machine: str) -> None:
    compiler = f"{ARCHITECTURES[machine].triple}-gcc"
    if shutil.which(compiler) is None:
        pytest.skip(f"there is no {compiler}: apt-get install gcc-{ARCHITECTURES[machine].triple.replace('_', '-')}")
    made = initramfs_for(kernel(machine), compiler)
    program = made[made.index(b"\x7fELF") :]
    assert int.from_bytes(program[18:20], "little") == NUMBERS[machine]
    assert b"ld-linux" not in program


def test_it_is_built_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("there is no compiler: apt-get install gcc")
    monkeypatch.setenv("HVOLAB_CACHE_DIR", str(tmp_path))
    first = initramfs_for(kernel("EM_X86_64"), "gcc")
    (kept,) = (tmp_path / "boot").iterdir()
    kept.write_bytes(b"kept")
    assert initramfs_for(kernel("EM_X86_64"), "gcc") != first


def test_a_compiler_that_refuses_it_is_quoted(tmp_path: Path) -> None:
    refusing = tmp_path / "cc"
    refusing.write_text("#!/bin/sh\ntest $1 = --version || { echo 'no such thing' >&2; exit 1; }\n")
    refusing.chmod(0o755)
    with pytest.raises(BuildError, match="cannot be built") as caught:
        initramfs_for(kernel("EM_X86_64"), str(refusing))
    assert caught.value.rule == "no such thing"


def test_where_no_compiler_is_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError) as caught:
        initramfs_for(kernel("EM_RISCV"))
    assert "apt-get install gcc-riscv64-linux-gnu" in caught.value.hint
