# SPDX-License-Identifier: GPL-2.0-only
"""Types of a kernel with an object linked over it: those of the object's own file are the object's."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from hvolab_vmlinux.types.btf import StructLayout, Types
from hvolab_vmlinux.types.index import TypeIndex

#: Members that a difference names.
_NAMED: Final = 2


class LayeredTypes(Types):
    """A kernel's types, where structs of some names are those of an object; without the object's, they do not exist."""

    def __init__(self, index: TypeIndex, own: Types, names: Collection[str]) -> None:
        super().__init__(index)
        self._own, self._own_names = own, names

    def find(self, name: str) -> StructLayout | None:
        """Return the struct of that name, or None. Its members' types are numbers of the types that it is of."""
        return self._own.find(name) if name in self._own_names else super().find(name)

    def has_member(self, name: str, path: str) -> bool:
        """Return whether the struct exists and has the member."""
        return self._own.has_member(name, path) if name in self._own_names else super().has_member(name, path)

    def offset(self, name: str, path: str) -> int:
        """Return the offset of a member in bytes; raises TypeInfoError where there is none."""
        return self._own.offset(name, path) if name in self._own_names else super().offset(name, path)


def differing_structs(kernel: Types, own: Types, ignored: Collection[str]) -> tuple[str, ...]:
    """Return a sentence for each struct of an object that a kernel has with another size or another member.

    ignored  names of structs that only the object's file uses

    Structs that the kernel does not have are new ones of the object.
    """
    found = []
    for name in own.struct_names:
        layouts, theirs = own.structs(name), () if name in ignored else kernel.structs(name)
        if theirs and {_shape(one) for one in layouts}.isdisjoint(map(_shape, theirs)):
            found.append(_difference(layouts[0], theirs[0]))
    return tuple(found)


def _shape(layout: StructLayout) -> tuple[object, ...]:
    return layout.size, tuple((one.name, one.bit, one.bits) for one in layout.members)


def _difference(mine: StructLayout, its: StructLayout) -> str:
    places = {one.name: one.bit for one in its.members}
    moved = [
        f"{one.name or '(anonymous)'} at bit {one.bit}, in the image {places.get(one.name, 'none')}"
        for one in mine.members
        if places.get(one.name) != one.bit
    ]
    gone = [f"without {name}" for name in places if name not in {one.name for one in mine.members}]
    members = "; ".join((moved + gone)[:_NAMED])
    return f"struct {mine.name}: {mine.size} bytes, in the image {its.size}; {members}".removesuffix("; ")
