# SPDX-License-Identifier: GPL-2.0-only
"""Tables of BUG() and WARN() of a kernel and of an object: entries of both lead to their instructions and files."""

from __future__ import annotations

import struct

from hvolab_vmlinux.objects.bug_tables import append_bug_tables
from hvolab_vmlinux.objects.linker import link
from hvolab_vmlinux.open import read_kernel
from tests.plugins.hvolab_vmlinux.made_up_btf import BtfBuilder
from tests.plugins.hvolab_vmlinux.made_up_kernels import MadeUp, addresses, elf_image
from tests.plugins.hvolab_vmlinux.objects.made_up_objects import MadeUpObject, MadeUpSection

_NAMES = ("function", "path", "__start___bug_table", "__stop___bug_table")
_ENTRY = struct.Struct("<iiHH")


def entry_types() -> bytes:
    built = BtfBuilder()
    short, distance = built.integer("short", 2), built.integer("int", 4)
    members = [("bug_addr_disp", distance, 0), ("file_disp", distance, 32), ("line", short, 64), ("flags", short, 80)]
    built.struct("bug_entry", _ENTRY.size, members)
    return built.content()


def test_distances_are_corrected_for_the_new_place() -> None:
    where = addresses(MadeUp(symbols=_NAMES, btf=entry_types()))
    start, function, path = (where[name] for name in ("__start___bug_table", "function", "path"))
    rows = b"".join(
        _ENTRY.pack(function - start - 12 * index, path - start - 12 * index - 4, index, 1) for index in range(5)
    )
    kernel = read_kernel(elf_image(MadeUp(symbols=_NAMES, btf=entry_types(), code={_NAMES[2]: rows})), "made up")
    base = 0xFFFFFFFF84000000
    made = MadeUpObject([MadeUpSection(".text", b"\x90" * 32), MadeUpSection("__bug_table", bytes(12), "data")])
    linked = link(made.object(), base, lambda _: None)
    place = linked.section("__bug_table")
    assert place is not None
    linked.write(place[0], _ENTRY.pack(base + 7 - place[0], base + 16 - place[0] - 4, 77, 0))
    (_, first), (_, end) = append_bug_tables(kernel, linked)
    found = []
    for at in range(first, end, _ENTRY.size):
        bug, file, line, _ = _ENTRY.unpack(linked.read(at, _ENTRY.size))
        found.append((at + bug, at + 4 + file, line))
    assert found == [*((function, path, line) for line in range(5)), (base + 7, base + 16, 77)]
    assert end == linked.end


def test_a_kernel_without_the_table_stays_without() -> None:
    kernel = read_kernel(elf_image(MadeUp()), "made up")
    linked = link(MadeUpObject([MadeUpSection(".text", b"\x90")]).object(), 0xFFFFFFFF84000000, lambda _: None)
    assert append_bug_tables(kernel, linked) == ()
