# SPDX-License-Identifier: GPL-2.0-only
"""Linker of one object: its sections at their VAs, with every relocation applied, as one range of bytes.

Text comes first, then a page of traps for functions that do not exist, then everything else, and the entries that hold
addresses (GOT).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from hvolab.arithmetic import WORD_BYTES, round_up
from hvolab_vmlinux.errors import ObjectFileError
from hvolab_vmlinux.objects.elf_object import ABSOLUTE, UNDEFINED, ObjectSection, ObjectSymbol, RelocatableObject
from hvolab_vmlinux.objects.relocations import OBJECT_MACHINES, Addresses, ObjectMachine, relocate

#: Size of a page of text, and alignment of what follows it: of the largest base page.
PAGE: Final = 64 << 10
#: Bytes of the trap of one missing function, and alignment of functions.
_TRAP, _ALIGNMENT = 16, 16
#: Beginnings of names of sections that boot, ftrace, alternatives, modules and unwinders read: not loaded, as boot
#: does not run. Kernel: include/asm-generic/vmlinux.lds.h, v6.12.
_LEFT_OUT: Final = (
    *(".exit.", ".discard", ".initcall", "__param", ".export_symbol", "__ksymtab", "__kcrctab", ".modinfo"),
    *("__mcount_loc", "__patchable_function_entries", ".altinstr", ".alternative", ".smp_locks", ".retpoline_sites"),
    *(".return_sites", ".call_sites", ".ibt_endbr_seal", ".cfi_sites", ".static_call_sites", ".orc_", ".note"),
    *(".comment", ".eh_frame", "_ftrace_annotated_branch", ".gnu.linkonce", ".BTF"),
)


@dataclass(frozen=True, eq=False)
class LinkedObject:
    """An object in its place.

    object    the object
    base      VA of its first byte, which is text
    content   its bytes
    places    VA of each section that is loaded, by number
    code_end  end of its own text
    text_end  end of the text with the traps
    missing   VAs of the traps of functions that do not exist, by name
    shared    names of data and functions of the image that it refers to
    """

    object: RelocatableObject
    base: int
    content: bytearray
    places: Mapping[int, int]
    code_end: int
    text_end: int
    missing: Mapping[str, int]
    shared: tuple[str, ...]

    @property
    def end(self) -> int:
        """First VA after it."""
        return self.base + len(self.content)

    @cached_property
    def defined(self) -> tuple[tuple[int, ObjectSymbol], ...]:
        """The named symbols of its loaded sections, with their VAs."""
        return tuple(
            (self.places[one.section] + one.value, one)
            for one in self.object.symbols
            if one.section in self.places and one.name and not one.names_section
        )

    def section(self, name: str) -> tuple[int, int] | None:
        """Return VA and size of a loaded section, or None."""
        found = self.object.section(name)
        return None if found is None or found.index not in self.places else (self.places[found.index], found.size)

    def read(self, va: int, size: int) -> bytes:
        """Return bytes of it."""
        return bytes(self.content[va - self.base : va - self.base + size])

    def write(self, va: int, content: bytes) -> None:
        """Replace bytes of it."""
        self.content[va - self.base : va - self.base + len(content)] = content


def machine_of(machine: str) -> ObjectMachine:
    """Return what the linker knows of an ELF machine; raises ObjectFileError for an unknown one."""
    found = OBJECT_MACHINES.get(machine)
    if found is None:
        raise ObjectFileError(
            f"objects of {machine} cannot be linked", rule=f"hvolab links {', '.join(OBJECT_MACHINES)}"
        )
    return found


def link(one: RelocatableObject, base: int, resolve: Callable[[str], int | None]) -> LinkedObject:
    """Link an object at `base`, which is aligned to pages of any size.

    resolve  returns the VA of a symbol of the image, or None

    Data that other files know by name are the image's, where it has them; static data are the object's own.
    Raises ObjectFileError for what cannot be linked.
    """
    return _Linker(one, base, resolve).link()


class _Linker:
    def __init__(self, one: RelocatableObject, base: int, resolve: Callable[[str], int | None]) -> None:
        self._object, self._base, self._resolve = one, base, resolve
        self._machine = machine_of(one.machine)
        self._places: dict[int, int] = {}
        self._missing: dict[str, int] = {}
        self._shared: dict[str, None] = {}
        self._known: dict[int, int] = {}
        self._entries: dict[int, int] = {}

    def link(self) -> LinkedObject:
        """Place code, a page of traps and the rest, relocate each section, and return the result."""
        loaded = [
            one for one in self._object.sections if one.allocated and one.size and not one.name.startswith(_LEFT_OUT)
        ]
        code_end = self._place([one for one in loaded if one.executable], self._base)
        self._traps = round_up(code_end, PAGE)
        text_end = self._traps + PAGE
        rest = sorted((one for one in loaded if not one.executable), key=lambda one: (one.writable, one.index))
        self._table = round_up(self._place(rest, text_end), WORD_BYTES)
        parts = {one.index: self._relocated(one) for one in loaded}
        content = bytearray(self._table + WORD_BYTES * len(self._entries) - self._base)
        result = LinkedObject(
            self._object, self._base, content, self._places, code_end, text_end, self._missing, tuple(self._shared)
        )
        for index, part in parts.items():
            result.write(self._places[index], bytes(part))
        trap = self._machine.trap
        result.write(self._traps, trap * (PAGE // len(trap)))
        for value, entry in self._entries.items():
            result.write(entry, value.to_bytes(WORD_BYTES, "little"))
        return result

    def _place(self, sections: list[ObjectSection], at: int) -> int:
        for one in sections:
            at = round_up(at, max(one.align, _ALIGNMENT if one.executable else 1))
            self._places[one.index] = at
            at += one.size
        return at

    def _relocated(self, section: ObjectSection) -> bytearray:
        content = bytearray(section.size) if section.zeroed else bytearray(section.content)
        where = f"{self._object.path}, section {section.name}"
        addresses = Addresses(self._address, self._entry)
        relocations = self._object.relocations(section)
        relocate(content, self._places[section.index], relocations, self._machine.types, addresses, where)
        return content

    def _entry(self, value: int) -> int:
        return self._entries.setdefault(value % (1 << 64), self._table + WORD_BYTES * len(self._entries))

    def _address(self, number: int) -> int:
        if number not in self._known:
            self._known[number] = self._find(self._object.symbols[number])
        return self._known[number]

    def _find(self, symbol: ObjectSymbol) -> int:
        if symbol.section == ABSOLUTE:
            return symbol.value
        if symbol.section == UNDEFINED or (symbol.data and not symbol.local):
            found = self._resolve(symbol.name) if symbol.name else 0
            if found is not None:
                self._shared[symbol.name] = None
                return found
        if symbol.section == UNDEFINED:
            return 0 if symbol.weak else self._trap_for(symbol.name)
        if symbol.section not in self._places:
            sections = self._object.sections
            name = sections[symbol.section].name if symbol.section < len(sections) else f"number {symbol.section:#x}"
            raise ObjectFileError(
                f"a loaded section refers to {symbol.name or 'the section'} in {name}, which is not loaded",
                where=str(self._object.path),
                rule="sections for boot, ftrace, alternatives and modules are left out",
            )
        return self._places[symbol.section] + (0 if symbol.names_section else symbol.value)

    def _trap_for(self, name: str) -> int:
        """Return the VA of the trap in place of a function that does not exist."""
        if (len(self._missing) + 1) * _TRAP > PAGE:
            raise ObjectFileError(
                f"the image lacks more than {len(self._missing)} symbols of the object", where=str(self._object.path)
            )
        return self._missing.setdefault(name, self._traps + _TRAP * len(self._missing))
