# SPDX-License-Identifier: GPL-2.0-only
"""Kernel trees of a few lines, whose makefile prints a command as kbuild does, and kernels of this machine."""

from __future__ import annotations

import platform
import shutil
from pathlib import Path

import pytest

from hvolab_kernel.build.toolchain import ARCHITECTURES
from hvolab_vmlinux.kernel import Kernel
from hvolab_vmlinux.open import read_kernel
from tests.plugins.hvolab_vmlinux.made_up_kernels import MadeUp, elf_image

MACHINE = next((one for one, each in ARCHITECTURES.items() if each.host == platform.machine()), "EM_X86_64")
#: kbuild's own, as far as it counts: flags from a configuration, and a command among others.
MAKEFILE = """FLAGS := -O2 -Iinclude -include include/kconfig.h -D__KERNEL__ {flags} -Wno-of-the-future
hugetlb_vmemmap.o:
	set -e; echo ' CC $@'; $(CC) -Wp,-MMD,$(M)/.d $(FLAGS) -DKBUILD_MODNAME='"x"' -c -o $@ $(M)/hugetlb_vmemmap.c ; true
"""
SOURCE = '#include "hugetlb_vmemmap.h"\nconst char *file = __FILE__;\nint f(void) { return VALUE; }\n'


def require_compiler() -> None:
    """Skip where no object can be built."""
    if shutil.which("gcc") is None or shutil.which("make") is None:
        pytest.skip("there is no compiler: apt-get install gcc make")


def small_kernel(machine: str = MACHINE, *, banner: str = "", btf: bool = True) -> Kernel:
    """Return a kernel of this machine's architecture."""
    code = {"linux_banner": f"{banner}\0".encode()} if banner else {}
    made_up = MadeUp(machine=machine, code=code) if btf else MadeUp(machine=machine, code=code, btf=b"")
    return read_kernel(elf_image(made_up), "made up")


def make_tree(folder: Path, machine: str = MACHINE, *, flags: str = "-g", release: str = "6.12.1") -> Path:
    """Make a tree that is built in place, with a file in mm/."""
    (folder / "include/generated").mkdir(parents=True)
    (folder / "mm").mkdir()
    (folder / ".config").write_text(f"CONFIG_64BIT=y\nCONFIG_{ARCHITECTURES[machine].symbol}=y\n")
    (folder / "include/generated/autoconf.h").touch()
    (folder / "include/generated/utsrelease.h").write_text(f'#define UTS_RELEASE "{release}"\n')
    (folder / "include/kconfig.h").write_text("#define VALUE 1\n")
    (folder / "Makefile").write_text(MAKEFILE.format(flags=flags))
    (folder / "mm/internal.h").write_text("#define INTERNAL 1\n")
    (folder / "mm/hugetlb_vmemmap.h").touch()
    (folder / "mm/hugetlb_vmemmap.c").write_text(SOURCE)
    return folder
