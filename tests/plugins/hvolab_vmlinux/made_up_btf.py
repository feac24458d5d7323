# SPDX-License-Identifier: GPL-2.0-only
"""BTF sections built by hand: as small as a test needs them."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from hvolab_vmlinux.types.index import Kind


class BtfBuilder:
    """Collects types; each method returns the number of the type that it added."""

    def __init__(self) -> None:
        self.types = b""
        self.strings = b"\0"
        self.count = 0

    def string(self, text: str) -> int:
        if not text:
            return 0
        at = len(self.strings)
        self.strings += text.encode() + b"\0"
        return at

    def add(
        self, name: str, kind: int, size_or_type: int, words: Sequence[int] = (), *, count: int = 0, flag: int = 0
    ) -> int:
        info = flag << 31 | kind << 24 | count
        self.types += struct.pack(f"<{3 + len(words)}I", self.string(name), info, size_or_type, *words)
        self.count += 1
        return self.count

    def integer(self, name: str, size: int, *, signed: bool = False) -> int:
        return self.add(name, Kind.INT, size, [int(signed) << 24 | size * 8])

    def pointer(self, target: int) -> int:
        return self.add("", Kind.POINTER, target)

    def typedef(self, name: str, target: int) -> int:
        return self.add(name, Kind.TYPEDEF, target)

    def struct(self, name: str, size: int, members: Sequence[tuple[str, int, int]], *, kind: Kind = Kind.STRUCT) -> int:
        words = [word for member, type_, bit in members for word in (self.string(member), type_, bit)]
        return self.add(name, kind, size, words, count=len(members))

    def bit_fields(self, name: str, size: int, members: Sequence[tuple[str, int, int, int]]) -> int:
        words = [
            word for member, type_, bit, bits in members for word in (self.string(member), type_, bits << 24 | bit)
        ]
        return self.add(name, Kind.STRUCT, size, words, count=len(members), flag=1)

    def enum(self, name: str, values: Sequence[tuple[str, int]], *, signed: bool = False) -> int:
        words = [word for one, value in values for word in (self.string(one), value & 0xFFFFFFFF)]
        return self.add(name, Kind.ENUM, 4, words, count=len(values), flag=int(signed))

    def enum64(self, name: str, values: Sequence[tuple[str, int]], *, signed: bool = False) -> int:
        words = [
            word for one, value in values for word in (self.string(one), value & 0xFFFFFFFF, value >> 32 & 0xFFFFFFFF)
        ]
        return self.add(name, Kind.ENUM64, 8, words, count=len(values), flag=int(signed))

    def function(self, name: str, result: int, parameters: Sequence[tuple[str, int]]) -> int:
        words = [word for one, type_ in parameters for word in (self.string(one), type_)]
        prototype = self.add("", Kind.PROTOTYPE, result, words, count=len(parameters))
        return self.add(name, Kind.FUNCTION, prototype)

    def content(self, layouts: bytes = b"") -> bytes:
        """The section, with a layout section as kernels from 7.2 on have it unless that is empty."""
        types, strings = self.types, self.strings
        numbers = (24 + 8 * bool(layouts), 0, len(types), len(types), len(strings))
        header = struct.pack("<HBBIIIII", 0xEB9F, 1, 0, *numbers)
        if layouts:
            strings += bytes(-len(strings) % 4)
            header += struct.pack("<II", len(types) + len(strings), len(layouts))
        return header + types + strings + layouts


def hvo_types(*, shared_tails: bool = False, flags: bool = True) -> bytes:
    """The types that the features of HVO are told by, and the prototypes of two functions."""
    built = BtfBuilder()
    long = built.integer("long unsigned int", 8)
    entry = built.typedef("pte_t", built.struct("", 8, [("pte", long, 0)]))
    members = [("nr_walked", long, 0), *([("flags", long, 64)] if flags else [])]
    walk = built.struct("vmemmap_remap_walk", 24, [*members, *([("vmemmap_tail", long, 128)] if shared_tails else [])])
    built.struct("zone", 16, [("node", long, 0), *([("vmemmap_tails", long, 64)] if shared_tails else [])])
    built.function(
        "vmemmap_remap_pte", 0, [("pte", built.pointer(entry)), ("addr", long), ("walk", built.pointer(walk))]
    )
    hook = built.struct("", 8, [("func", long, 0)])
    mmu = built.struct("pv_mmu_ops", 16, [("read_cr3", hook, 0), ("set_pte", long, 64)])
    built.struct("paravirt_patch_template", 24, [("irq", long, 0), ("mmu", mmu, 64)])
    return built.content()
