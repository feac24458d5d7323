# SPDX-License-Identifier: GPL-2.0-only
"""Struct layouts, enumerators and prototypes from a kernel's own type information (BTF)."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

import numpy as np

from hvolab_vmlinux.errors import TypeInfoError
from hvolab_vmlinux.types.index import Kind, TypeIndex, broken, count_of, kind_of, newer

_QUALIFIERS: Final = frozenset({Kind.VOLATILE, Kind.CONST, Kind.RESTRICT, Kind.TYPE_TAG})
_MODIFIERS: Final = _QUALIFIERS | {Kind.TYPEDEF}
_COMPOUND: Final = frozenset({Kind.STRUCT, Kind.UNION})
_ENUMERATIONS: Final = {Kind.ENUM: 2, Kind.ENUM64: 3}  # words of an enumerator
_SIZED: Final = frozenset({Kind.INT, Kind.FLOAT, *_COMPOUND, *_ENUMERATIONS})
_WORDS: Final = {Kind.STRUCT: "struct ", Kind.UNION: "union ", Kind.ENUM: "enum ", Kind.ENUM64: "enum "}
#: Limit of nesting; only a damaged BTF, whose types name each other, exceeds it.
_DEPTH: Final = 64
_POINTER_SIZE: Final = 8


@dataclass(frozen=True)
class Member:
    """A member of a struct or union.

    name    empty where it is anonymous
    type    number of its type
    bit     offset from the start of the struct, in bits
    bits    width of a bit field, else 0
    """

    name: str
    type: int
    bit: int
    bits: int = 0


@dataclass(frozen=True)
class StructLayout:
    """A struct or union; `size` in bytes."""

    name: str
    size: int
    members: tuple[Member, ...]


@dataclass(frozen=True)
class Parameter:
    """A parameter or result of a function: its type as C writes it, and its size in bytes."""

    name: str
    type: str
    size: int
    signed: bool


@dataclass(frozen=True)
class Prototype:
    """A function; a result of None is void."""

    name: str
    result: Parameter | None
    parameters: tuple[Parameter, ...]

    def __str__(self) -> str:
        parameters = ", ".join(f"{one.type} {one.name}".strip() for one in self.parameters)
        return f"{self.result.type if self.result else 'void'} {self.name}({parameters or 'void'})"


def _absent(what: str, hint: str) -> TypeInfoError:
    return TypeInfoError(what, where="BTF of the kernel image", hint=hint)


def _nested(what: str) -> TypeInfoError:
    return broken(f"{what} is nested in itself")


class Types:
    """A kernel's types. Every method raises TypeInfoError where the BTF is damaged."""

    def __init__(self, index: TypeIndex) -> None:
        self.index = index
        self._layouts: dict[int, StructLayout] = {}

    def __len__(self) -> int:
        return len(self.index)

    def layout(self, name: str) -> StructLayout:
        """Return the struct or union of that name, or of that typedef; raises TypeInfoError where there is none."""
        found = self.find(name)
        if found is None:
            raise _absent(
                f"the kernel has no struct or union {name!r}",
                "check the spelling; BTF has a type only if compiled code of this configuration and release uses it",
            )
        return found

    def find(self, name: str) -> StructLayout | None:
        """Return the struct or union of that name, or of that typedef; None where there is none."""
        # a struct comes before a typedef of the same name
        numbers = sorted(self.index.numbers(name), key=lambda number: self._kind(number) is Kind.TYPEDEF)
        targets = (self._resolve(number) for number in numbers)
        return next((self._layout(target) for target in targets if self._kind(target) in _COMPOUND), None)

    def structs(self, name: str) -> tuple[StructLayout, ...]:
        """Return all structs of that name; there are several if files declare different ones."""
        return tuple(self._layout(one) for one in self.index.numbers(name) if self._kind(one) is Kind.STRUCT)

    @property
    def struct_names(self) -> tuple[str, ...]:
        """The names of all structs that have one, each once."""
        starts = self.index.starts[1:]
        names = self.index.words[starts[self.index.words[starts + 1] >> 24 & 0x7F == Kind.STRUCT]]
        return tuple(filter(None, dict.fromkeys(map(self.index.string, names.tolist()))))

    def size(self, name: str) -> int:
        """Return the size of a struct or union in bytes."""
        return self.layout(name).size

    def has_member(self, name: str, path: str) -> bool:
        """Return whether the struct exists and has the member; a `path` into members has dots between."""
        layout = self.find(name)
        return layout is not None and self._search(layout, path.split(".")) is not None

    def member(self, name: str, path: str) -> Member:
        """Return a member, also one of an anonymous member; its `bit` counts from the start of the outermost struct.

        Raises TypeInfoError where the struct or the member does not exist.
        """
        layout = self.layout(name)
        found = self._search(layout, path.split("."))
        if found is None:
            members = ", ".join(one.name or "(anonymous)" for one in layout.members)
            raise _absent(f"struct {name} has no member {path!r}", f"choose one of {members}")
        return found

    def offset(self, name: str, path: str) -> int:
        """Return the offset of a member in bytes; raises TypeInfoError also for a bit field."""
        found = self.member(name, path)
        if found.bits or found.bit % 8:
            what = f"{name}.{path} is a bit field, at bit {found.bit}, {found.bits} bits wide"
            raise _absent(what, "use the member itself")
        return found.bit // 8

    def path_at(self, name: str, offset: int) -> str | None:
        """Return the innermost named member at that byte of a struct, with dots between; None where none starts."""
        layout = self.find(name)
        return None if layout is None else self._path(layout, offset * 8)

    def enumerator(self, name: str) -> int:
        """Return the value of an enumerator of any enumeration; raises TypeInfoError where there is none."""
        found = self.find_enumerator(name)
        if found is None:
            raise _absent(f"the kernel has no enumerator {name!r}", "check the spelling; BTF has no #define")
        return found

    def find_enumerator(self, name: str) -> int | None:
        """Return the value of the first enumerator of that name, or None."""
        # every word of a BTF that is the offset of the name may be an enumerator's first
        words, starts = self.index.words, self.index.starts
        for offset in self.index.string_offsets(name):
            for position in np.flatnonzero(words == offset).tolist():
                number = int(np.searchsorted(starts[1:], position, side="right"))
                step = _ENUMERATIONS.get(self._kind(number))
                index = position - int(starts[number])
                if step is not None and index >= 3 and (index - 3) % step == 0:
                    return self._enumerator_value(number, index, step - 1)
        return None

    def _enumerator_value(self, number: int, index: int, words: int) -> int:
        value = sum(self._word(number, index + 1 + word) << 32 * word for word in range(words))
        return value - (1 << 32 * words) if self._flag(number) and value >> (32 * words - 1) else value

    def prototype(self, name: str) -> Prototype | None:
        """Return the function of that name; None where BTF has none, as for functions that were compiled away."""
        for number in self.index.numbers(name):
            if self._kind(number) is Kind.FUNCTION:
                return self._prototype(name, self._word(number, 2))
        return None

    def type_name(self, number: int, depth: int = 0) -> str:
        """Return a type as C writes it, such as ``struct page *``."""
        kind = self._kind(number)
        if depth > _DEPTH:
            raise _nested(f"type {number}")
        if kind is Kind.VOID:
            return "void"
        if kind is Kind.ARRAY:
            return f"{self.type_name(self._word(number, 3), depth + 1)}[{self._word(number, 5)}]"
        if kind is Kind.POINTER:
            target = self._word(number, 2)
            if self._kind(self._resolve(target, _QUALIFIERS)) is Kind.PROTOTYPE:
                return "function *"
            return f"{self.type_name(target, depth + 1)} *".replace("* *", "**")
        if kind in _QUALIFIERS:
            return ("const " if kind is Kind.CONST else "") + self.type_name(self._word(number, 2), depth + 1)
        if kind is Kind.FORWARD:
            kind = Kind.UNION if self._flag(number) else Kind.STRUCT
        return _WORDS.get(kind, "") + (self.index.string(self._word(number, 0)) or "(anonymous)")

    def type_size(self, number: int, depth: int = 0) -> int:
        """Return the size of a type in bytes; 0 for void and functions."""
        if depth > _DEPTH:
            raise _nested(f"type {number}")
        number = self._resolve(number)
        kind = self._kind(number)
        if kind is Kind.POINTER:
            return _POINTER_SIZE
        if kind is Kind.ARRAY:
            return self._word(number, 5) * self.type_size(self._word(number, 3), depth + 1)
        if kind is Kind.NEWER:
            raise newer(f"the size of type {number} is that of an unknown kind")
        return self._word(number, 2) if kind in _SIZED else 0

    def _word(self, number: int, index: int) -> int:
        if not 0 < number < len(self.index):
            raise broken(f"type {number} does not exist")
        at = int(self.index.starts[number]) + index
        if at >= len(self.index.words):
            raise broken(f"type {number} is cut short")
        return int(self.index.words[at])

    def _words(self, number: int, count: int) -> list[int]:
        """Return the words after the first three of a type."""
        at = int(self.index.starts[number]) + 3
        if at + count > len(self.index.words):
            raise broken(f"type {number} is cut short")
        words: list[int] = self.index.words[at : at + count].tolist()
        return words

    def _kind(self, number: int) -> Kind:
        return Kind.VOID if number == 0 else kind_of(self._word(number, 1))

    def _count(self, number: int) -> int:
        return count_of(self._word(number, 1))

    def _flag(self, number: int) -> int:
        """Return bit 31 of a type's second word: signed, a union, or with bit fields."""
        return self._word(number, 1) >> 31

    def _resolve(self, number: int, kinds: AbstractSet[Kind] = _MODIFIERS) -> int:
        """Return the type after typedefs, const and other `kinds`."""
        for _ in range(_DEPTH):
            if self._kind(number) not in kinds:
                return number
            number = self._word(number, 2)
        raise _nested(f"type {number}")

    def _layout(self, number: int) -> StructLayout:
        if number not in self._layouts:
            bit_fields = self._flag(number)
            place_bits = 0xFFFFFF if bit_fields else 0xFFFFFFFF
            words = self._words(number, 3 * self._count(number))
            members = tuple(
                Member(self.index.string(name), kind, place & place_bits, place >> 24 if bit_fields else 0)
                for name, kind, place in zip(words[::3], words[1::3], words[2::3], strict=True)
            )
            own_name = self.index.string(self._word(number, 0))
            self._layouts[number] = StructLayout(own_name, self._word(number, 2), members)
        return self._layouts[number]

    def _search(self, layout: StructLayout, path: list[str], depth: int = 0) -> Member | None:
        if depth > _DEPTH:
            raise _nested(f"struct {layout.name}")
        for member in layout.members:
            if member.name == path[0] and len(path) == 1:
                return member
            inner = self._inner(member)
            if inner is None or member.name not in {"", path[0]}:
                continue
            found = self._search(inner, path[1:] if member.name else path, depth + 1)
            if found is not None:
                return Member(found.name, found.type, member.bit + found.bit, found.bits)
        return None

    def _inner(self, member: Member) -> StructLayout | None:
        number = self._resolve(member.type)
        return self._layout(number) if self._kind(number) in _COMPOUND else None

    def _path(self, layout: StructLayout, bit: int, depth: int = 0) -> str | None:
        for member in layout.members:
            inner = self._inner(member)
            if inner is not None and member.bit <= bit < member.bit + 8 * inner.size and depth < _DEPTH:
                below = self._path(inner, bit - member.bit, depth + 1)
                if below is not None:
                    return f"{member.name}.{below}".lstrip(".")
            if member.bit == bit and member.name:
                return member.name
        return None

    def _prototype(self, name: str, number: int) -> Prototype:
        if self._kind(number) is not Kind.PROTOTYPE:
            raise broken(f"function {name} has type {number}, which is not a prototype")
        result = self._word(number, 2)
        parameters = tuple(
            self._parameter(self.index.string(self._word(number, index)), self._word(number, index + 1))
            for index in range(3, 3 + 2 * self._count(number), 2)
        )
        return Prototype(name, self._parameter("", result) if result else None, parameters)

    def _parameter(self, name: str, number: int) -> Parameter:
        if number == 0:
            return Parameter(name or "...", "...", 0, signed=False)
        bare = self._resolve(number)
        kind = self._kind(bare)
        if kind is Kind.INT:
            signed = bool(self._word(bare, 3) >> 24 & 1)
        else:
            signed = kind in _ENUMERATIONS and bool(self._flag(bare))
        return Parameter(name, self.type_name(number), self.type_size(number), signed)
