# SPDX-License-Identifier: GPL-2.0-only
"""Kernel images built by hand: a few hundred symbols, a function or two, type information; no byte of any kernel."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hvolab.arithmetic import round_up
from tests.plugins.hvolab_vmlinux.made_up_btf import hvo_types

RELEASE = "6.12.99-made-up"
BANNER = f"Linux version {RELEASE} (nobody@nowhere)\0".encode()
BASES = {"EM_X86_64": 0xFFFFFFFF81000000, "EM_AARCH64": 0xFFFF800080000000, "EM_RISCV": 0xFFFFFFFF80000000}
_NUMBERS = {"EM_X86_64": 62, "EM_AARCH64": 183, "EM_RISCV": 243}
_RELATIVE = {"EM_AARCH64": 0x403, "EM_RISCV": 3}
#: Codes that stand for more than themselves.
_TOKENS = {128: b"vmemmap_", 129: b"optimize", 130: b"filler_"}

#: HVO's functions as 6.12 has them, and what 6.12 has beside them.
HVO_6_12 = (
    "hugetlb_vmemmap_optimize_folio",
    "hugetlb_vmemmap_optimize_folios",
    "hugetlb_vmemmap_restore_folio",
    "vmemmap_remap_pte",
    "hugetlb_optimize_vmemmap_key",
    "memmap_pages_add",
    "synchronize_rcu",
    "copy_page",
    "vmemmap_optimize_enabled",
)


@dataclass(frozen=True)
class MadeUp:
    """What a made-up kernel is built of.

    symbols   names beside the fillers; each gets 64 bytes
    code      bytes at symbols, by name
    pointers  symbols whose first eight bytes are a pointer to another, filled in by a relocation where there are any
    layout    of kallsyms; empty: none
    btf       empty: none
    """

    machine: str = "EM_X86_64"
    symbols: tuple[str, ...] = HVO_6_12
    code: Mapping[str, bytes] = field(default_factory=dict)
    pointers: Mapping[str, str] = field(default_factory=dict)
    layout: str = "after-index"
    btf: bytes = field(default_factory=hvo_types)
    relocated: bool = False
    fillers: int = 600

    @property
    def base(self) -> int:
        return BASES[self.machine]


def addresses(kernel: MadeUp) -> dict[str, int]:
    """Where each symbol is: fillers first, then the others, then those of data."""
    names = [f"filler_{number:03}" for number in range(kernel.fillers)] + list(kernel.symbols)
    found = {"_text": kernel.base} | {name: kernel.base + 0x1000 + 64 * index for index, name in enumerate(names)}
    found["linux_banner"] = kernel.base + round_up(0x1000 + 64 * len(names), 0x1000)
    found["__start_BTF"] = found["linux_banner"] + 0x1000
    found["__stop_BTF"] = found["__start_BTF"] + len(kernel.btf)
    return found if kernel.btf else {name: va for name, va in found.items() if not name.endswith("_BTF")}


def content(kernel: MadeUp) -> bytes:
    """The bytes of a made-up kernel from its base on, without any header."""
    where = addresses(kernel)
    end = max(where.values()) - kernel.base + 0x100
    held = bytearray(round_up(end, 0x1000))

    def put(va: int, data: bytes) -> None:
        held[va - kernel.base : va - kernel.base + len(data)] = data

    put(where["linux_banner"], BANNER)
    if kernel.btf:
        put(where["__start_BTF"], kernel.btf)
    for name, code in kernel.code.items():
        put(where[name], code)
    relocations = []
    for name, target in kernel.pointers.items():
        if kernel.relocated:
            relocations.append((where[name], where[target]))
        else:
            put(where[name], where[target].to_bytes(8, "little"))
    if kernel.layout:
        at = len(held)
        table, base_at = kallsyms(list(where.items()), kernel.layout, kernel.base, at, zero_base=kernel.relocated)
        held += table
        if kernel.relocated and base_at is not None:
            relocations.append((kernel.base + base_at, kernel.base))
    if kernel.relocated:
        held += bytes(round_up(len(held), 8) - len(held))
        # a table that is worth its name, of pointers in unused bytes
        spare = kernel.base + 0x100
        relocations += [(spare + 8 * number, kernel.base + 0x1000 + 64 * number) for number in range(40)]
        for place, value in relocations:
            held += struct.pack("<QQQ", place, _RELATIVE[kernel.machine], value)
    return bytes(held)


def kallsyms(
    symbols: Sequence[tuple[str, int]],
    layout: str,
    base: int,
    at: int = 0,
    *,
    per_cpu: bool = False,
    zero_base: bool = False,
) -> tuple[bytes, int | None]:
    """The tables of kallsyms as they stand at byte `at` of an image; and where the relative base is."""
    ordered = sorted(symbols, key=lambda one: one[1])
    names, markers = b"", []
    for index, (name, _) in enumerate(ordered):
        if index % 256 == 0:
            markers.append(len(names))
        packed = b"T" + name.encode()
        for code, token in _TOKENS.items():
            packed = packed.replace(token, bytes((code,)))
        length = bytes((len(packed),)) if len(packed) < 0x80 else bytes((len(packed) & 0x7F | 0x80, len(packed) >> 7))
        names += length + packed
    token_table, token_index = b"", b""
    for code in range(256):
        token_index += struct.pack("<H", len(token_table))
        token_table += (_TOKENS.get(code) or (bytes((code,)) if 32 < code < 127 else b"")) + b"\0"
    step = 4 if layout == "place" else 8
    held, base_at = bytes(round_up(at, 8) - at), None

    def put(data: bytes, alignment: int = step) -> int:
        nonlocal held
        held += bytes(round_up(at + len(held), alignment) - at - len(held))
        start = at + len(held)
        held += data
        return start

    relative_base = (0 if zero_base else base).to_bytes(8, "little")

    def numbers(start: int) -> bytes:
        if layout == "place":
            return b"".join(struct.pack("<i", va - base - start - 4 * n) for n, (_, va) in enumerate(ordered))
        if per_cpu:
            return b"".join(struct.pack("<i", va if va < base else base - 1 - va) for _, va in ordered)
        return b"".join(struct.pack("<I", va - base) for _, va in ordered)

    if layout == "before-names":
        put(numbers(0))
        base_at = put(relative_base)
    put(struct.pack("<I", len(ordered)))
    put(names)
    put(struct.pack(f"<{len(markers)}I", *markers))
    put(token_table)
    put(token_index)
    if layout == "after-index":
        put(numbers(0))
        base_at = put(relative_base)
    elif layout == "place":
        put(numbers(round_up(at + len(held), 4)))
    return held + bytes(64), base_at


def flat_image(kernel: MadeUp) -> bytes:
    """A made-up kernel as an Image: its header stands in its first bytes."""
    held = bytearray(content(kernel))
    magic = {"EM_AARCH64": b"ARM\x64", "EM_RISCV": b"RSC\x05"}[kernel.machine]
    struct.pack_into("<QQQ", held, 8, 0, round_up(len(held), 0x1000) + 0x2000, 0)
    held[56:60] = magic
    return bytes(held)


def elf_image(kernel: MadeUp, *, per_cpu: bytes = b"", symbol_table: bool = False, btf_section: bool = False) -> bytes:
    """A made-up kernel as a vmlinux, stripped unless `symbol_table`."""
    body = content(kernel)
    segments = [(kernel.base, 0x1000, body, len(body) + 0x1000)]
    if per_cpu:
        segments.append((0, 0x1000 + round_up(len(body), 0x1000), per_cpu, len(per_cpu)))
    sections, tail, tail_at = [], b"", round_up(max(at + len(data) for _, at, data, _ in segments), 8)

    def section(name: str, kind: int, data: bytes, link: int = 0) -> None:
        nonlocal tail
        sections.append((name, kind, tail_at + len(tail), len(data), link))
        tail += data + bytes(round_up(len(data), 8) - len(data))

    if symbol_table:
        strings, symbols = b"\0", bytes(24)
        for name, va in addresses(kernel).items():
            symbols += struct.pack("<IBBHQQ", len(strings), 0x12, 0, 1, va, 0)
            strings += name.encode() + b"\0"
        section(".symtab", 2, symbols, 2)
        section(".strtab", 3, strings)
    if btf_section:
        section(".BTF", 1, kernel.btf)
    headers = b""
    if sections:
        names = b"\0" + b"".join(name.encode() + b"\0" for name, *_ in sections) + b".shstrtab\0"
        section(".shstrtab", 3, names)
        headers = bytes(64)
        for name, kind, at, size, link in sections:
            headers += struct.pack("<IIQQQQIIQQ", names.index(name.encode()), kind, 0, 0, at, size, link, 0, 8, 0)
    count = len(sections) + 1 if sections else 0
    header = b"\x7fELF\2\1\1".ljust(16, b"\0") + struct.pack(
        "<HHIQQQIHHHHHH",
        *(2, _NUMBERS[kernel.machine], 1, 0x1000000, 64, tail_at + len(tail) if count else 0),
        *(0, 64, 56, len(segments), 64, count, count - 1 if count else 0),
    )
    for va, at, data, size in segments:
        header += struct.pack("<IIQQQQQQ", 1, 7, at, va, va & 0xFFFFFFF, len(data), size, 0x1000)
    held = bytearray(tail_at)
    held[: len(header)] = header
    for _, at, data, _ in segments:
        held[at : at + len(data)] = data
    return bytes(held) + tail + headers


def bzimage(kernel: bytes, packed: bytes | None = None) -> bytes:
    """A bzImage around the bytes of an ELF kernel, packed with gzip unless `packed` is given, with its size behind."""
    payload = gzip.compress(kernel, 1) if packed is None else packed
    held = bytearray(1024)
    held[0x1F1] = 1
    held[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", held, 0x206, 0x20F)
    struct.pack_into("<H", held, 0x236, 1)
    struct.pack_into("<II", held, 0x248, 0, len(payload))
    return bytes(held) + payload


def zboot(kernel: bytes, packed: bytes | None = None) -> bytes:
    """An EFI zboot image around the bytes of a flat kernel, packed with gzip unless `packed` is given."""
    payload = gzip.compress(kernel, 1) if packed is None else packed
    return b"MZ\0\0zimg" + struct.pack("<II", 64, len(payload)).ljust(56, b"\0") + payload


def unified(kernel: bytes) -> bytes:
    """A unified kernel image: a PE file whose second section is the file of a kernel, padded as sections are."""
    optional, at, start = bytes(240), 0x80, 0x400
    header = b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", at)
    coff = b"PE\0\0" + struct.pack("<HHIIIHH", 0x8664, 2, 0, 0, 0, len(optional), 0x22)
    stored = round_up(len(kernel), 512)
    sections = struct.pack("<8sIIII16x", b".osrel", 5, 0x1000, 512, 0x200)
    sections += struct.pack("<8sIIII16x", b".linux", len(kernel), 0x2000, stored, start)
    return (header.ljust(at, b"\0") + coff + optional + sections).ljust(start, b"\0") + kernel.ljust(stored, b"\0")
