# SPDX-License-Identifier: GPL-2.0-only
"""VMCOREINFO keys of each architecture."""

from __future__ import annotations

import pytest

from hvolab_vmcore.core.kernels import keys_for, machine_of
from hvolab_vmcore.files.vmcoreinfo import VmcoreInfo, parse_vmcoreinfo


def info(*lines: str) -> VmcoreInfo:
    return parse_vmcoreinfo("".join(f"{line}\n" for line in ("OSRELEASE=6.1.0", "PAGESIZE=4096", *lines)).encode())


@pytest.mark.parametrize(
    ("machine", "lines", "va", "root"),
    [
        ("EM_X86_64", ["NUMBER(phys_base)=0"], 0xFFFFFFFF82C22000, 0x2C22000),
        ("EM_X86_64", ["NUMBER(phys_base)=-16777216"], 0xFFFFFFFF82C22000, 0x1C22000),
        ("EM_AARCH64", ["NUMBER(kimage_voffset)=0xffff80003fe00000"], 0xFFFF8000803B6000, 0x405B6000),
        ("EM_RISCV", ["NUMBER(va_kernel_pa_offset)=0xfffffffeffe00000"], 0xFFFFFFFF81DCA000, 0x81FCA000),
    ],
)
def test_the_root_table_is_found_from_the_kernels_own_numbers(
    machine: str, lines: list[str], va: int, root: int
) -> None:
    row = keys_for(machine)
    assert row is not None
    assert row.root(info(*lines), va) == root
    assert row.root(info(), va) is None


def test_an_architecture_without_a_row_has_no_keys() -> None:
    assert keys_for("EM_LOONGARCH") is None


def test_a_kernel_is_recognized_by_a_number_of_its_architecture() -> None:
    assert machine_of(info("NUMBER(phys_base)=0")) == "EM_X86_64"
    assert machine_of(info("NUMBER(kimage_voffset)=0xffff000000000000")) == "EM_AARCH64"
    assert machine_of(info("NUMBER(va_kernel_pa_offset)=0x10")) == "EM_RISCV"
    assert machine_of(info()) is None
