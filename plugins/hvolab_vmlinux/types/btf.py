"""Struct layouts, enumerations and prototypes, from a kernel's own type information (BTF)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hvolab_vmlinux.errors import TypeInfoError
from hvolab_vmlinux.types.index import Kind, TypeIndex, broken, read_index

_MODIFIERS: Final = frozenset({Kind.TYPEDEF, Kind.VOLATILE, Kind.CONST, Kind.RESTRICT, Kind.TYPE_TAG})
_WORDS: Final = {Kind.STRUCT: "struct ", Kind.UNION: "union ", Kind.ENUM: "enum ", Kind.ENUM64: "enum "}
#: Nothing nests deeper than this but a damaged BTF whose types name each other.
_DEPTH: Final = 64
_POINTER_SIZE: Final = 8


@dataclass(frozen=True)
class Member:
    """A member of a struct or union.

    name    empty where it is anonymous
    type    number of its type
    bit     where it starts, in bits from the start of the struct
    bits    its width if it is a bit field, else 0
    """

    name: str
    type: int
    bit: int
    bits: int = 0


@dataclass(frozen=True)
class StructLayout:
    """A struct or union: its name, number, size in bytes and members."""

    name: str
    number: int
    size: int
    members: tuple[Member, ...]


@dataclass(frozen=True)
class Parameter:
    """A parameter or result of a function: its name, its type in C's words, bytes, and whether it has a sign."""

    name: str
    type: str
    size: int
    signed: bool


@dataclass(frozen=True)
class Prototype:
    """A function: its name, what it returns (None: void), and its parameters."""

    name: str
    result: Parameter | None
    parameters: tuple[Parameter, ...]

    def __str__(self) -> str:
        result = "void" if self.result is None else self.result.type
        return (
            f"{result} {self.name}({', '.join(f'{one.type} {one.name}'.strip() for one in self.parameters) or 'void'})"
        )


class Types:
    """A kernel's types. Whatever is asked for and not there raises TypeInfoError, as damage does."""

    def __init__(self, content: bytes, starts: NDArray[np.uint32] | None = None) -> None:
        self.index: TypeIndex = read_index(content, starts)
        self._layouts: dict[int, StructLayout] = {}

    def __len__(self) -> int:
        return len(self.index)

    def layout(self, name: str) -> StructLayout:
        """The struct or union of that name, also by a typedef of it."""
        found = self.find(name)
        if found is None:
            raise TypeInfoError(
                f"the kernel has no struct or union {name!r}",
                where="BTF of the kernel image",
                rule="a type is there only if some compiled code uses it",
                hint="check the spelling; another configuration or release may not have it",
            )
        return found

    def find(self, name: str) -> StructLayout | None:
        """The struct or union of that name; None if there is none."""
        numbers = self.index.numbers(name)
        for number in numbers:
            if self._kind(number) in {Kind.STRUCT, Kind.UNION}:
                return self._layout(number)
        for number in numbers:
            target = self._resolved(number) if self._kind(number) is Kind.TYPEDEF else number
            if self._kind(target) in {Kind.STRUCT, Kind.UNION}:
                return self._layout(target)
        return None

    def size(self, name: str) -> int:
        """Size of a struct or union in bytes."""
        return self.layout(name).size

    def has_member(self, name: str, path: str) -> bool:
        """Whether there is such a struct, and it has that member; `path` may go into members, with dots between."""
        layout = self.find(name)
        return layout is not None and self._search(layout, path.split(".")) is not None

    def member(self, name: str, path: str) -> Member:
        """A member, its `bit` counted from the start of the outermost struct; anonymous members are looked into."""
        found = self._search(self.layout(name), path.split("."))
        if found is None:
            raise TypeInfoError(
                f"struct {name} has no member {path!r}",
                where="BTF of the kernel image",
                hint=f"it has {', '.join(one.name or '(anonymous)' for one in self.layout(name).members)}",
            )
        return found

    def offset(self, name: str, path: str) -> int:
        """Offset of a member in bytes; a bit field has none."""
        found = self.member(name, path)
        if found.bits or found.bit % 8:
            raise TypeInfoError(
                f"{name}.{path} is a bit field, at bit {found.bit}, {found.bits} bits wide",
                where="BTF of the kernel image",
                hint="ask for the member itself",
            )
        return found.bit // 8

    def path_at(self, name: str, offset: int) -> str | None:
        """The innermost named member at that byte of a struct, with dots between; None where no member starts."""
        layout = self.find(name)
        return None if layout is None else self._path(layout, offset * 8)

    def enumerator(self, name: str) -> int:
        """Value of an enumerator, of whichever enumeration."""
        found = self._find_enumerator(name)
        if found is None:
            raise TypeInfoError(
                f"the kernel has no enumerator {name!r}",
                where="BTF of the kernel image",
                hint="check the spelling; a #define is not in BTF",
            )
        return found

    def has_enumerator(self, name: str) -> bool:
        """Whether some enumeration has it."""
        return self._find_enumerator(name) is not None

    def prototype(self, name: str) -> Prototype | None:
        """The function of that name; None where BTF has none, as for functions that were compiled away."""
        for number in self.index.numbers(name):
            if self._kind(number) is Kind.FUNCTION:
                return self._prototype(name, self._word(number, 2))
        return None

    def type_name(self, number: int, depth: int = 0) -> str:
        """A type in C's words, such as ``struct page *``."""
        kind = self._kind(number)
        if depth > _DEPTH:
            raise broken(f"type {number} is nested in itself")
        if kind in {Kind.POINTER, Kind.ARRAY, *_MODIFIERS} - {Kind.TYPEDEF}:
            return self._derived_name(number, kind, depth + 1)
        if kind is Kind.VOID:
            return "void"
        name = self.index.string(self._word(number, 0)) or "(anonymous)"
        if kind is Kind.FORWARD:
            return ("union " if self._word(number, 1) >> 31 else "struct ") + name
        return _WORDS.get(kind, "") + name

    def _derived_name(self, number: int, kind: Kind, depth: int) -> str:
        """A pointer, an array, or a type with const and the like, in C's words."""
        target = self._word(number, 3 if kind is Kind.ARRAY else 2)
        if kind is Kind.POINTER and self._kind(self._bare(target)) is Kind.PROTOTYPE:
            return "function *"
        name = self.type_name(target, depth)
        if kind is Kind.POINTER:
            return f"{name} *".replace("* *", "**")
        if kind is Kind.ARRAY:
            return f"{name}[{self._word(number, 5)}]"
        return f"const {name}" if kind is Kind.CONST else name

    def type_size(self, number: int, depth: int = 0) -> int:
        """Size of a type in bytes; 0 for void and functions."""
        if depth > _DEPTH:
            raise broken(f"type {number} is nested in itself")
        number = self._resolved(number)
        kind = self._kind(number)
        if kind is Kind.POINTER:
            return _POINTER_SIZE
        if kind is Kind.ARRAY:
            return self._word(number, 5) * self.type_size(self._word(number, 3), depth + 1)
        sized = {Kind.INT, Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.ENUM64, Kind.FLOAT}
        return self._word(number, 2) if kind in sized else 0

    def _word(self, number: int, index: int) -> int:
        if not 0 < number < len(self.index):
            raise broken(f"there is no type {number}")
        at = int(self.index.starts[number]) + index
        if at >= len(self.index.words):
            raise broken(f"type {number} is cut short")
        return int(self.index.words[at])

    def _kind(self, number: int) -> Kind:
        return Kind.VOID if number == 0 else Kind(self._word(number, 1) >> 24 & 31)

    def _count(self, number: int) -> int:
        return self._word(number, 1) & 0xFFFF

    def _bare(self, number: int) -> int:
        """The type without const, volatile and the like."""
        for _ in range(_DEPTH):
            kind = self._kind(number)
            if kind not in _MODIFIERS or kind is Kind.TYPEDEF:
                return number
            number = self._word(number, 2)
        raise broken(f"type {number} is nested in itself")

    def _resolved(self, number: int) -> int:
        """The type behind typedefs, const and the like."""
        for _ in range(_DEPTH):
            if self._kind(number) not in _MODIFIERS:
                return number
            number = self._word(number, 2)
        raise broken(f"type {number} is nested in itself")

    def _layout(self, number: int) -> StructLayout:
        if number not in self._layouts:
            bit_fields = self._word(number, 1) >> 31
            members = []
            for index in range(3, 3 + 3 * self._count(number), 3):
                name, kind, place = (self._word(number, index + word) for word in range(3))
                bits = place >> 24 if bit_fields else 0
                members.append(Member(self.index.string(name), kind, place & 0xFFFFFF if bit_fields else place, bits))
            own_name = self.index.string(self._word(number, 0))
            self._layouts[number] = StructLayout(own_name, number, self._word(number, 2), tuple(members))
        return self._layouts[number]

    def _search(self, layout: StructLayout, path: list[str], depth: int = 0) -> Member | None:
        if depth > _DEPTH:
            raise broken(f"struct {layout.name} is nested in itself")
        for member in layout.members:
            inner = self._inner(member)
            found: Member | None = None
            if member.name == path[0]:
                if len(path) == 1:
                    return member
                found = None if inner is None else self._search(inner, path[1:], depth + 1)
            elif not member.name and inner is not None:
                found = self._search(inner, path, depth + 1)
            if found is not None:
                return Member(found.name, found.type, member.bit + found.bit, found.bits)
        return None

    def _inner(self, member: Member) -> StructLayout | None:
        number = self._resolved(member.type)
        return self._layout(number) if self._kind(number) in {Kind.STRUCT, Kind.UNION} else None

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

    def _find_enumerator(self, name: str) -> int | None:
        """Value of the first enumerator of that name: the words that are its name, inside enumerations."""
        words, starts = self.index.words, self.index.starts
        for offset in self.index.string_offsets(name):
            for position in np.flatnonzero(words == offset).tolist():
                number = int(np.searchsorted(starts[1:], position, side="right"))
                kind = self._kind(number)
                step = {Kind.ENUM: 2, Kind.ENUM64: 3}.get(kind)
                index = position - int(starts[number])
                if step is not None and index >= 3 and (index - 3) % step == 0:
                    return self._enumerator_value(number, index, wide=kind is Kind.ENUM64)
        return None

    def _enumerator_value(self, number: int, index: int, *, wide: bool) -> int:
        width = 64 if wide else 32
        value = self._word(number, index + 1) | (self._word(number, index + 2) << 32 if wide else 0)
        signed = self._word(number, 1) >> 31
        return value - (1 << width) if signed and value >> (width - 1) else value

    def _prototype(self, name: str, number: int) -> Prototype:
        if self._kind(number) is not Kind.PROTOTYPE:
            raise broken(f"function {name} has type {number}, which is no prototype")
        returned = self._word(number, 2)
        parameters = tuple(
            self._parameter(self.index.string(self._word(number, index)), self._word(number, index + 1))
            for index in range(3, 3 + 2 * self._count(number), 2)
        )
        return Prototype(name, self._parameter("", returned) if returned else None, parameters)

    def _parameter(self, name: str, number: int) -> Parameter:
        if number == 0:
            return Parameter(name or "...", "...", 0, signed=False)
        bare = self._resolved(number)
        kind = self._kind(bare)
        signed = (
            bool(self._word(bare, 3) >> 24 & 1)
            if kind is Kind.INT
            else bool(kind in {Kind.ENUM, Kind.ENUM64} and self._word(bare, 1) >> 31)
        )
        return Parameter(name, self.type_name(number), self.type_size(number), signed)
