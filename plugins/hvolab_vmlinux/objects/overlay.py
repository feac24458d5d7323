# SPDX-License-Identifier: GPL-2.0-only
"""A kernel with an object linked over it, in place of the kernel's own copy of the same file, as livepatch does.

The kernel's own functions become jumps to the object's, and the rest of their text traps, so that none of it runs.
Symbols, types and the table of BUG() and WARN() are those of both; where both have a name it is the object's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np

from hvolab.arithmetic import round_up
from hvolab_vmlinux.errors import KernelImageError
from hvolab_vmlinux.image import KernelImage, Segment, read_only
from hvolab_vmlinux.kernel import Kernel, LinkedCode
from hvolab_vmlinux.objects.bug_tables import append_bug_tables
from hvolab_vmlinux.objects.elf_object import ObjectSymbol, RelocatableObject
from hvolab_vmlinux.objects.lines import LineTable
from hvolab_vmlinux.objects.linker import LinkedObject, link, machine_of
from hvolab_vmlinux.objects.static_branches import set_branches
from hvolab_vmlinux.symbols.table import SymbolTable
from hvolab_vmlinux.types.index import TypeIndex, read_index

#: Alignment of the object's segment.
_ALIGNMENT: Final = 2 << 20
#: Names that only the object's own file uses.
_PRIVATE_NAMES: Final = (".L", ".LC", "__UNIQUE_ID", "__param", "__initcall", "__export_symbol", "__setup", "$")
_PADDING: Final = ("__pfx_", "__cfi_", "$")


@dataclass(frozen=True, eq=False)
class Overlay:
    """The result of linking an object over a kernel.

    kernel    the kernel with the object
    linked    the object in its place
    replaced  functions of the kernel that now are jumps to the object's
    added     functions of the object that the kernel does not have
    gone      functions of the kernel's file that the object does not have; they trap
    own       static data of the object
    shared    names of data and functions of the kernel that the object refers to
    missing   names that the object refers to and that the kernel does not have; they trap
    branches  static branches that were changed to the state of their keys
    """

    kernel: Kernel
    linked: LinkedObject
    replaced: tuple[str, ...]
    added: tuple[str, ...]
    gone: tuple[str, ...]
    own: tuple[str, ...]
    shared: tuple[str, ...]
    missing: tuple[str, ...]
    branches: int


def types_of(one: RelocatableObject) -> TypeIndex | None:
    """Return the types of an object; None where it has no BTF."""
    section = one.section(".BTF")
    return None if section is None or not section.content else read_index(section.content)


def overlay(
    kernel: Kernel,
    one: RelocatableObject,
    old_text: tuple[int, int],
    *,
    own_types: Collection[str] = (),
    live_keys: Collection[str] = (),
) -> Overlay:
    """Link an object over a kernel.

    old_text   first VA and end of the kernel's own copy of the file
    own_types  names of structs that only this file has: the object's count
    live_keys  names of static keys that are enabled, whatever the image has

    Raises ObjectFileError where it cannot be linked, KernelImageError for a kernel without symbols.
    """
    symbols, image = kernel.symbols, kernel.image
    base = round_up(max(segment.end for segment in image.segments if not segment.per_cpu), _ALIGNMENT)
    linked = link(one, base, partial(resolve, symbols))
    types = types_of(one)
    with_types = kernel if kernel.btf is not None else replace(kernel, btf=types)
    branches = set_branches(linked, _Keys(with_types, live_keys).enabled)
    bounds = append_bug_tables(with_types, linked)
    functions = [(va, symbol) for va, symbol in linked.defined if symbol.function and ".cold" not in symbol.name]
    patched, replaced = _redirected(image, symbols, old_text, functions, one.machine)
    segments = (*patched, Segment(base, read_only(bytes(linked.content)), round_up(len(linked.content), _ALIGNMENT)))
    digest = hashlib.sha256(image.digest.encode() + one.content).hexdigest()
    code = LinkedCode(
        before=with_types,
        start=linked.base,
        end=linked.text_end,
        missing=tuple(sorted(linked.missing)),
        source_of=LineTable(linked).at,
        types=types if kernel.btf is not None else None,
        own_types=frozenset(own_types),
    )
    names = {symbol.name for _, symbol in functions}
    return Overlay(
        replace(
            with_types,
            image=replace(image, digest=digest, segments=segments),
            table=_symbols(symbols, linked, old_text, bounds),
            linked=code,
        ),
        linked,
        replaced=replaced,
        added=tuple(sorted(names - set(replaced))),
        gone=_gone(symbols, old_text, names),
        own=tuple(sorted(symbol.name for va, symbol in linked.defined if symbol.data and _own(symbols, symbol))),
        shared=tuple(sorted(linked.shared)),
        missing=code.missing,
        branches=branches,
    )


def resolve(symbols: SymbolTable, name: str) -> int | None:
    """Return the VA of the kernel's symbol of a name, of several the global one; None where it has none.

    Raises SymbolError where several are global, or all of several are local.
    """
    found = symbols.all(name)
    if len(found) > 1:
        found = symbols.all(name, local=False) or found
    return symbols.find(name) if len(found) > 1 else next(iter(found), None)


@dataclass(frozen=True)
class _Keys:
    """Static keys, by their VAs. Kernel: static_key.enabled, an atomic_t, in include/linux/jump_label.h, v6.12."""

    kernel: Kernel
    live: Collection[str]

    def enabled(self, va: int) -> bool:
        """Return the state of a key; one that the image does not have is disabled."""
        if any(va in self.kernel.symbols.all(name) for name in self.live):
            return True
        try:
            return self.kernel.image.word(va, 4) > 0
        except KernelImageError:
            return False


def _redirected(
    image: KernelImage,
    symbols: SymbolTable,
    old_text: tuple[int, int],
    functions: Sequence[tuple[int, ObjectSymbol]],
    machine_name: str,
) -> tuple[list[Segment], tuple[str, ...]]:
    """Return the segments with the old text replaced by traps and jumps, and the names of the functions replaced."""
    machine = machine_of(machine_name)
    start, end = old_text
    targets: dict[int, int] = {}
    replaced = []
    for va, symbol in functions:
        found = symbols.all(symbol.name)
        inside = tuple(old for old in found if start <= old < end)
        places = inside or (found if len(found) == 1 else ())
        targets |= dict.fromkeys(places, va)
        replaced += [symbol.name] if places else []
    segments = []
    for segment in image.segments:
        content = segment.content
        low, high = max(start, segment.va), min(end, segment.va + len(content))
        mine = {old: new for old, new in targets.items() if segment.va <= old < segment.va + len(content)}
        if low < high or mine:
            changed = content.copy()
            if low < high:
                trap = machine.trap * ((high - low) // len(machine.trap))
                changed[low - segment.va : low - segment.va + len(trap)] = np.frombuffer(trap, np.uint8)
            for old, new in mine.items():
                code = machine.jump.code(old, new)
                changed[old - segment.va : old - segment.va + len(code)] = np.frombuffer(code, np.uint8)
            content = read_only(changed)
        segments.append(replace(segment, content=content))
    return segments, tuple(sorted(set(replaced)))


def _own(symbols: SymbolTable, symbol: ObjectSymbol) -> bool:
    return not symbol.name.startswith(_PRIVATE_NAMES) and (symbol.local or not symbols.all(symbol.name))


def _gone(symbols: SymbolTable, old_text: tuple[int, int], names: Collection[str]) -> tuple[str, ...]:
    return tuple(
        sorted(
            name
            for name in symbols.between(*old_text)
            if name not in names and not name.startswith(_PADDING) and ".cold" not in name
        )
    )


def _symbols(
    symbols: SymbolTable, linked: LinkedObject, old_text: tuple[int, int], bounds: Sequence[tuple[str, int]]
) -> SymbolTable:
    """Return the symbols of both."""
    added: list[tuple[int, str, str]] = []
    for va, symbol in linked.defined:
        # data that other files know are the kernel's, where it has them
        if symbol.function or _own(symbols, symbol):
            letter = "T" if symbol.function else "D"
            added.append((va, letter.lower() if symbol.local else letter, symbol.name))
    hidden = {name for _, _, name in added} | {name for name, _ in bounds}
    added += [(va, "T", name) for name, va in linked.missing.items()]
    added += [(va, "d", name) for name, va in bounds]
    # the last function would reach to the next symbol
    added += [(linked.code_end, "t", "__end_of_object_code"), (linked.end, "d", "__end_of_object")]
    return symbols.overlaid(added, hidden, old_text)
