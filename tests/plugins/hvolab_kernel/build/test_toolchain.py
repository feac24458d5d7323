# SPDX-License-Identifier: GPL-2.0-only
"""The compiler for an image."""

from __future__ import annotations

from pathlib import Path

import pytest

from hvolab.errors import UsageError
from hvolab_kernel.build.toolchain import ARCHITECTURES, banner_of, compiler_for, run
from tests.plugins.hvolab_kernel.build.small_trees import MACHINE, small_kernel

BANNER = "Linux version 6.12.1 (a@b) ({} (Debian 14.2.0-19) 14.2.0, GNU ld) #1 SMP"


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder, the only one in PATH, in which each compiler prints its name."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def install(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_text(f"#!/bin/sh\necho {name} 1.0\necho free\n")
        (folder / name).chmod(0o755)


def test_the_compiler_is_the_images_own_then_gcc_then_clang(tools: Path) -> None:
    kernel = small_kernel("EM_RISCV", banner=BANNER.format("riscv64-linux-gnu-gcc-14"))
    for name in ("clang", "riscv64-linux-gnu-gcc", "riscv64-linux-gnu-gcc-14"):
        install(tools, name)
        found = compiler_for(kernel)
        assert (found.path, found.version) == (str(tools / name), f"{name} 1.0")
    assert compiler_for(kernel, "clang").version == "clang 1.0"


def test_without_the_prefix_a_compiler_is_for_this_machine(tools: Path) -> None:
    own = small_kernel(banner=BANNER.format(f"{ARCHITECTURES[MACHINE].triple}-gcc-14"))
    install(tools, "gcc")
    assert compiler_for(own).version == "gcc 1.0"
    install(tools, "gcc-14")
    assert compiler_for(own).version == "gcc-14 1.0"
    other = next(one for one in ARCHITECTURES if one != MACHINE)
    with pytest.raises(UsageError, match="found no compiler"):
        compiler_for(small_kernel(other))


@pytest.mark.usefixtures("tools")
def test_a_missing_compiler_is_named_with_its_package() -> None:
    with pytest.raises(UsageError, match=r"no compiler aarch64-linux-gnu-gcc or .*gcc-aarch64-linux-gnu") as caught:
        compiler_for(small_kernel("EM_AARCH64"))
    assert "apt-get install clang" in caught.value.hint
    with pytest.raises(UsageError, match="found no compiler zebra"):
        compiler_for(small_kernel(), "zebra")
    with pytest.raises(UsageError, match="make cannot be started"):
        run(["make"])


def test_settings_of_an_outer_make_are_left_out(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tools / "print").write_text('#!/bin/sh\necho "$MAKEFLAGS$ARCH$LANG $LC_ALL $KEPT"\n')
    (tools / "print").chmod(0o755)
    for name in ("MAKEFLAGS", "ARCH", "LANG", "KEPT"):
        monkeypatch.setenv(name, name.lower())
    assert run([str(tools / "print")]).stdout == " C kept\n"


def test_a_kernel_without_banner_has_an_empty_one() -> None:
    assert banner_of(small_kernel(banner="Linux version 6.12.1 (x)")) == "Linux version 6.12.1 (x)"
