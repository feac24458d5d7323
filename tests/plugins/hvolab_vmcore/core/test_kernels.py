"""What VMCOREINFO tells of kernels, and what is taken where it tells nothing."""

from __future__ import annotations

import pytest

from hvolab.machine import STRUCT_PAGE_V6_12
from hvolab_vmcore.core.kernels import keys_for, release_of
from hvolab_vmcore.core.layout import layout_of
from hvolab_vmcore.core.vmcoreinfo import VmcoreInfo, parse_vmcoreinfo

OFFERED = ("6.12", "6.1", "7.x")


def info(*lines: str) -> VmcoreInfo:
    return parse_vmcoreinfo("".join(f"{line}\n" for line in ("OSRELEASE=6.1.0", "PAGESIZE=4096", *lines)).encode())


@pytest.mark.parametrize(
    ("osrelease", "release"),
    [
        ("6.12.107+deb13-amd64", "6.12"),
        ("6.6.0", "6.12"),
        ("6.5.13", "6.1"),
        ("5.18.0", "6.1"),
        ("7.2.0-rc1", "7.x"),
        ("mainline", None),
    ],
)
def test_a_release_string_selects_the_release_whose_bits_it_has(osrelease: str, release: str | None) -> None:
    assert release_of(osrelease, OFFERED) == release


def test_a_release_that_the_architecture_does_not_describe_is_left_to_its_default() -> None:
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


def test_an_architecture_without_a_row_is_left_to_the_options() -> None:
    assert keys_for("EM_LOONGARCH") is None


def test_the_layout_is_that_of_v6_12_but_for_what_the_kernel_tells() -> None:
    assert layout_of(None, 4096) == STRUCT_PAGE_V6_12
    told = layout_of(info("SIZE(page)=128", "OFFSET(page.private)=48", "NUMBER(PG_head_mask)=32"), 4096)
    assert (told.size, told.words, told.private, told.pg_head, told.folio_order) == (128, 16, 48, 5, 128)


def test_the_order_is_a_byte_of_its_own_where_the_kernel_says_so() -> None:
    assert layout_of(info("OFFSET(page.compound_order)=17"), 4096).folio_order == 64 + 17
