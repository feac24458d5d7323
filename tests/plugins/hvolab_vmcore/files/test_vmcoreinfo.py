# SPDX-License-Identifier: GPL-2.0-only
"""VMCOREINFO of real kernels, and damaged ones, which are refused."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hvolab.errors import CoreFileError
from hvolab_vmcore.files.elfcore import open_core
from hvolab_vmcore.files.vmcoreinfo import VmcoreInfo, parse_vmcoreinfo

CAPTURES = Path(__file__).parents[3] / "captures"
X86_64, ARM64, RISCV64 = "x86_64-6.12-4level", "arm64-6.12-4K-48bit", "riscv64-6.12-sv57"
MINIMAL = b"OSRELEASE=6.12.0\nPAGESIZE=65536\n"
NAMES = st.text(string.ascii_letters + string.digits + "_.", min_size=1, max_size=30)


def vmcoreinfo_of(capture: str) -> VmcoreInfo:
    info = open_core(CAPTURES / capture / "2-optimised-1G.core.xz").vmcoreinfo
    assert info is not None
    return info


@pytest.mark.parametrize(
    ("capture", "osrelease", "root", "vmemmap", "kernel_offset"),
    [
        (X86_64, "6.12.107+deb13-amd64", 0xFFFFFFFF82C22000, 0xFFFFEA0000000000, 0),
        (ARM64, "6.12.107", 0xFFFF8000803B6000, 0xFFFFFDFFBF000000, 0),
        (RISCV64, "6.12.107+deb13-riscv64", 0xFFFFFFFF81DCA000, 0xFF1BFFFFFE000000, None),
    ],
)
def test_a_real_kernel_names_its_release_page_size_root_table_and_vmemmap(
    capture: str, osrelease: str, root: int, vmemmap: int, kernel_offset: int | None
) -> None:
    info = vmcoreinfo_of(capture)
    assert (info.osrelease, info.page_size) == (osrelease, 4096)
    assert info.symbol("swapper_pg_dir") == root
    assert info.symbol("vmemmap") == vmemmap
    assert info.values.get("KERNELOFFSET") == kernel_offset
    assert (info.size("page"), info.offset("page.compound_head")) == (64, 8)
    assert info.values["LENGTH(zone.free_area)"] == 11


@pytest.mark.parametrize(
    ("capture", "numbers"),
    [
        (X86_64, {"phys_base": 0, "pgtable_l5_enabled": 0, "VA_BITS": None, "MAX_PHYSMEM_BITS": 46}),
        (ARM64, {"VA_BITS": 48, "kimage_voffset": 0xFFFF80003FE00000, "PHYS_OFFSET": 0x40000000, "TCR_EL1_T1SZ": 16}),
        (RISCV64, {"VA_BITS": 57, "phys_ram_base": 0x80000000, "va_kernel_pa_offset": 0xFFFFFFFEFFE00000}),
    ],
)
def test_a_real_kernel_gives_the_numbers_of_its_architecture(capture: str, numbers: dict[str, int | None]) -> None:
    info = vmcoreinfo_of(capture)
    assert {name: info.number(name) for name in numbers} == numbers


@pytest.mark.parametrize("capture", [ARM64, RISCV64])
def test_symbol_vmemmap_is_the_va_of_the_struct_page_of_pfn_0(capture: str) -> None:
    info = vmcoreinfo_of(capture)
    first_pfn = (info.number("PHYS_OFFSET") or info.number("phys_ram_base") or 0) // info.page_size
    start, size, vmemmap = info.number("VMEMMAP_START"), info.size("page"), info.symbol("vmemmap")
    assert start is not None
    assert size is not None
    assert vmemmap == start - first_pfn * size


def test_symbols_are_hexadecimal_and_numbers_are_as_written_and_signed() -> None:
    text = b"SYMBOL(a)=10\nNUMBER(b)=10\nNUMBER(c)=0x10\nNUMBER(d)=-10\nSIZE(e)=10\nKERNELOFFSET=1f000000\nCONFIG_X=y\n"
    info = parse_vmcoreinfo(MINIMAL + text)
    assert (info.symbol("a"), info.number("b"), info.number("c"), info.number("d")) == (16, 10, 16, -10)
    assert (info.size("e"), info.values.get("KERNELOFFSET"), info.raw["CONFIG_X"]) == (10, 0x1F000000, "y")


def test_accessors_return_none_for_absent_keys() -> None:
    info = parse_vmcoreinfo(MINIMAL)
    assert [info.symbol("x"), info.number("x"), info.size("x"), info.offset("x.y")] == [None] * 4
    assert info.values.keys() == {"PAGESIZE"}
    assert info.page_size == 65536


def test_lines_of_unknown_keys_are_kept_as_written() -> None:
    info = parse_vmcoreinfo(MINIMAL + b"CRASHTIME=1700000000\nFUTURE(thing)=a=b (c)\n")
    assert info.raw["CRASHTIME"] == "1700000000"
    assert info.raw["FUTURE(thing)"] == "a=b (c)"
    assert "FUTURE(thing)" not in info.values


def test_a_repeated_line_is_accepted_and_zero_padding_is_skipped() -> None:
    assert parse_vmcoreinfo(MINIMAL + b"NUMBER(a)=1\nNUMBER(a)=1\n\0\0\0").number("a") == 1


@pytest.mark.parametrize(
    ("text", "complaint", "line"),
    [
        (b"NUMBER(a)=1\nNUMBER(a)=2\n", r"has NUMBER\(a\) again, with '2'", 4),
        (b"\n", "is not KEY=VALUE", 3),
        (b"NUMBER(a)\n", "is not KEY=VALUE", 3),
        (b"=1\n", "is not KEY=VALUE", 3),
        (b"SYMBOL(=1\n", "is not KEY=VALUE", 3),
        (b"SYMBOL()=1\n", "is not KEY=VALUE", 3),
        (b"A=\xff\n", "is not KEY=VALUE", 3),
        (b"A=\0\n", "is not KEY=VALUE", 3),
        (b"SYMBOL(a)=0xg\n", "not hexadecimal", 3),
        (b"SYMBOL(a)=ffff0000ffff0000f\n", "not hexadecimal", 3),
        (b"KERNELOFFSET=-1\n", "not hexadecimal", 3),
        (b"NUMBER(a)=1_0\n", "not a decimal number", 3),
        (b"NUMBER(a)=ff\n", "not a decimal number", 3),
        (b"SIZE(a)=-1\n", "not an unsigned decimal", 3),
        (b"OFFSET(a.b)=\n", "not an unsigned decimal", 3),
        (b"A=1\nSYMBOL(a)=ffff", "does not end", 4),
    ],
)
def test_a_bad_line_is_left_out_with_a_warning(text: bytes, complaint: str, line: int) -> None:
    info = parse_vmcoreinfo(MINIMAL + text + (b"\nNUMBER(z)=5\n" if text.endswith(b"\n") else b""))
    assert info.warnings[0].startswith(f"VMCOREINFO: line {line} ")
    assert re.search(complaint, info.warnings[0])
    assert (info.osrelease, info.values.get("SYMBOL(a)")) == ("6.12.0", None)
    assert info.number("z") == (5 if text.endswith(b"\n") else None)
    assert info.number("a") in {None, 1}


def test_lines_that_end_as_on_other_systems_are_read() -> None:
    info = parse_vmcoreinfo(MINIMAL.replace(b"\n", b"\r\n") + b"NUMBER(a)=1\r\n")
    assert (info.number("a"), info.osrelease, info.warnings) == (1, "6.12.0", ())


def test_of_many_odd_lines_the_first_few_are_named() -> None:
    warnings = parse_vmcoreinfo(MINIMAL + b"odd\n" * 10).warnings
    assert len(warnings) == 5
    assert warnings[-1] == "VMCOREINFO: 6 more lines are odd"


def test_a_text_without_a_page_size_is_refused_and_one_without_a_release_is_not() -> None:
    for text in (b"", b"OSRELEASE=6.12.0\n"):
        with pytest.raises(CoreFileError, match="the text has no PAGESIZE"):
            parse_vmcoreinfo(text)
    info = parse_vmcoreinfo(b"PAGESIZE=4096\n")
    assert (info.osrelease, info.warnings) == ("", ("VMCOREINFO: there is no OSRELEASE",))


@pytest.mark.parametrize("size", [b"0", b"4095", b"four"])
def test_a_page_size_that_is_not_a_power_of_two_is_refused(size: bytes) -> None:
    with pytest.raises(CoreFileError, match="the text has no PAGESIZE"):
        parse_vmcoreinfo(b"OSRELEASE=6.12.0\nPAGESIZE=" + size + b"\n")


@pytest.mark.slow
@given(st.dictionaries(NAMES, st.integers(-(2**63), 2**64 - 1)))
def test_written_numbers_are_read_back(numbers: dict[str, int]) -> None:
    lines = [f"NUMBER({name})={value if value < 2**32 else hex(value)}\n" for name, value in numbers.items()]
    info = parse_vmcoreinfo(MINIMAL + "".join(lines).encode())
    assert {name: info.number(name) for name in numbers} == numbers


@given(st.binary(max_size=200))
def test_any_bytes_are_parsed(data: bytes) -> None:
    assert parse_vmcoreinfo(MINIMAL + data).osrelease == "6.12.0"


def test_blanks_around_a_line_its_key_and_its_value_are_padding() -> None:
    info = parse_vmcoreinfo(MINIMAL + b"  SYMBOL(a) = 0x10\t \r\nNUMBER(b)= 3\n")
    assert (info.symbol("a"), info.number("b"), info.warnings) == (0x10, 3, ())


@pytest.mark.parametrize(("text", "bits"), [("46", 46), ("64", 64), ("0", None), ("-1", None), ("65", None)])
def test_bits_of_a_pa_that_no_machine_has_are_none(text: str, bits: int | None) -> None:
    assert parse_vmcoreinfo(MINIMAL + f"NUMBER(MAX_PHYSMEM_BITS)={text}\n".encode()).physical_bits == bits
