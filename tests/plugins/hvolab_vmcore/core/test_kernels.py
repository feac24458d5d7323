# SPDX-License-Identifier: GPL-2.0-only
"""VMCOREINFO keys of each architecture, and the modeled release."""

from __future__ import annotations

import pytest

from hvolab_vmcore.core.kernels import keys_for, release_of
from hvolab_vmcore.core.vmcoreinfo import VmcoreInfo, parse_vmcoreinfo

OFFERED = ("6.12", "6.1", "7.2")


def info(*lines: str) -> VmcoreInfo:
    return parse_vmcoreinfo("".join(f"{line}\n" for line in ("OSRELEASE=6.1.0", "PAGESIZE=4096", *lines)).encode())


@pytest.mark.parametrize(
    ("osrelease", "release"),
    [
        ("6.12.107+deb13-amd64", "6.12"),
        ("6.6.0", "6.12"),
        ("6.5.13", "6.1"),
        ("5.18.0", "6.1"),
        ("7.2.0-rc1", "7.2"),
        ("mainline", None),
    ],
)
def test_a_release_string_selects_the_release_whose_bits_it_has(osrelease: str, release: str | None) -> None:
    assert release_of(osrelease, OFFERED) == release


def test_a_release_that_the_architecture_does_not_describe_is_none() -> None:
    assert release_of("7.2.0", ("6.12",)) is None


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
