# SPDX-License-Identifier: GPL-2.0-only
"""The table of BUG() and WARN(): found by symbols, read by the kernel's own types, whatever form its places have."""

from __future__ import annotations

import struct

import pytest

from hvolab_kernel.code.bug_table import BugEntry, BugTable, bug_table_of
from hvolab_vmlinux.kernel import Kernel
from hvolab_vmlinux.open import read_kernel
from tests.plugins.hvolab_vmlinux.made_up_btf import BtfBuilder
from tests.plugins.hvolab_vmlinux.made_up_kernels import MadeUp, addresses, elf_image

BOTH = pytest.mark.parametrize("real_kernel", ["x86_64-6.12", "riscv64-6.12"], indirect=True)
NAMES = ("function", "path", "__start___bug_table", "__stop___bug_table")
WARNING, ONCE = 1, 2


def types(*, relative: bool, verbose: bool = True) -> bytes:
    """`struct bug_entry` with distances or with pointers, with file and line or without."""
    built = BtfBuilder()
    short, distance, pointer = built.integer("short", 2), built.integer("int", 4), built.integer("long", 8)
    place, size = (distance, 4) if relative else (pointer, 8)
    names = ("bug_addr_disp", "file_disp") if relative else ("bug_addr", "file")
    members = [(name, place, 8 * size * index) for index, name in enumerate(names if verbose else names[:1])]
    end = size * len(members)
    members += [("line", short, 8 * end)] if verbose else []
    end += 2 if verbose else 0
    built.struct("bug_entry", -(-(end + 2) // size) * size, [*members, ("flags", short, 8 * end)])
    return built.content()


def kernel_with(entries: bytes, btf: bytes) -> tuple[Kernel, int]:
    made = MadeUp(symbols=NAMES, btf=btf, code={"path": b"mm/made_up.c\0", "__start___bug_table": entries})
    return read_kernel(elf_image(made), "made up"), addresses(made)["function"]


def test_entries_with_distances_are_read() -> None:
    btf = types(relative=True)
    where = addresses(MadeUp(symbols=NAMES, btf=btf))
    start, function, path = (where[name] for name in ("__start___bug_table", "function", "path"))
    entries = b""
    for at, line, flags in ((function + 4, 7, WARNING | ONCE), (function + 9, 300, 0)):
        place = start + len(entries)
        entries += struct.pack("<iiHH", at - place, path - place - 4, line, flags)
    table = BugTable(kernel_with(entries, btf)[0])
    assert table.known
    assert table.at(function + 4) == BugEntry(warning=True, source="mm/made_up.c:7")
    assert table.at(function + 9) == BugEntry(warning=False, source="mm/made_up.c:300")
    assert table.at(function) is None


def test_entries_with_pointers_are_read() -> None:
    btf = types(relative=False)
    where = addresses(MadeUp(symbols=NAMES, btf=btf))
    entries = struct.pack("<QQHH4x", where["function"], where["path"], 12, WARNING)
    table = BugTable(kernel_with(entries, btf)[0])
    assert table.at(where["function"]) == BugEntry(warning=True, source="mm/made_up.c:12")


def test_entries_without_file_and_line_tell_warnings_all_the_same() -> None:
    btf = types(relative=True, verbose=False)
    where = addresses(MadeUp(symbols=NAMES, btf=btf))
    entries = struct.pack("<iHxx", where["function"] - where["__start___bug_table"], WARNING)
    table = BugTable(kernel_with(entries, btf)[0])
    assert table.at(where["function"]) == BugEntry(warning=True, source="")


@pytest.mark.parametrize(("symbols", "btf"), [(NAMES[:2], types(relative=True)), (NAMES, MadeUp().btf), (NAMES, b"")])
def test_a_kernel_that_does_not_tell_has_no_table_that_is_known(symbols: tuple[str, ...], btf: bytes) -> None:
    table = BugTable(read_kernel(elf_image(MadeUp(symbols=symbols, btf=btf)), "made up"))
    assert not table.known
    assert table.at(addresses(MadeUp(symbols=symbols, btf=btf))["function"]) is None


@BOTH
def test_every_entry_of_a_real_kernel_is_of_an_instruction_that_traps(real_kernel: Kernel) -> None:
    table = bug_table_of(real_kernel)
    assert table is bug_table_of(real_kernel)
    traps = {"EM_X86_64": (b"\x0f\x0b",), "EM_RISCV": (b"\x02\x90", b"\x73\x00")}[real_kernel.image.machine]
    places = table.addresses.tolist()
    assert len(places) > 1000
    assert {real_kernel.image.read(va, 2) for va in places} <= set(traps)
    kinds = {entry.warning for entry in map(table.at, places[::50]) if entry is not None}
    assert kinds == {True, False}
