# SPDX-License-Identifier: GPL-2.0-only
"""Index of a BTF section: the place of each type, by number and by name. Types are decoded only on use.

From 7.2 on a BTF may have a section with the sizes of its kinds; with it, types of kinds that are newer are skipped.
Source: Documentation/bpf/btf.rst, v6.12; include/uapi/linux/btf.h, v7.2.
"""

from __future__ import annotations

import bisect
import enum
import functools
import itertools
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hvolab_vmlinux.errors import TypeInfoError

_MAGIC: Final = 0xEB9F
_HEADER: Final = struct.Struct("<HBBIIIII")
#: Offset and size of the layout section, which follow in longer headers. Kernel: struct btf_header, v7.2.
_LAYOUT: Final = struct.Struct("<II")
#: Sizes of what follows a type of one kind: in any case, and for each member. Kernel: struct btf_layout, v7.2.
_KIND_LAYOUT: Final = struct.Struct("<BBH")
#: Kinds above those that hvolab knows that have names in no release yet, but may have one.
_NEXT_KINDS: Final = 32


class Kind(enum.IntEnum):
    """BTF_KIND_*."""

    VOID = 0
    INT = 1
    POINTER = 2
    ARRAY = 3
    STRUCT = 4
    UNION = 5
    ENUM = 6
    FORWARD = 7
    TYPEDEF = 8
    VOLATILE = 9
    CONST = 10
    RESTRICT = 11
    FUNCTION = 12
    PROTOTYPE = 13
    VARIABLE = 14
    DATA_SECTION = 15
    FLOAT = 16
    DECL_TAG = 17
    TYPE_TAG = 18
    ENUM64 = 19
    NEWER = 0x80  #: one that hvolab does not know

    @classmethod
    def _missing_(cls, _value: object) -> Kind:
        return cls.NEWER


def kind_of(info: int) -> Kind:
    """Return the kind in the second word of a type; Kernel: BTF_INFO_KIND(), of 7 bits since v7.2."""
    return Kind(info >> 24 & 0x7F)


def count_of(info: int) -> int:
    """Return the number of members in the second word of a type; Kernel: BTF_INFO_VLEN(), of 24 bits since v7.2."""
    return info & 0xFFFFFF


#: Words after the first three of a type: their number, and the number for each member.
_EXTRA: Final = {
    Kind.INT: (1, 0),
    Kind.ARRAY: (3, 0),
    Kind.STRUCT: (0, 3),
    Kind.UNION: (0, 3),
    Kind.ENUM: (0, 2),
    Kind.PROTOTYPE: (0, 2),
    Kind.VARIABLE: (1, 0),
    Kind.DATA_SECTION: (0, 3),
    Kind.DECL_TAG: (1, 0),
    Kind.ENUM64: (0, 3),
}


@dataclass(frozen=True, eq=False)
class TypeIndex:
    """Places of types.

    words      the type section, as 32-bit words
    starts     first word of each type; number 0 is void, which has none
    strings    the string section
    by_string  offsets of the strings in the order of their bytes; a string is found by bisection of these
    """

    words: NDArray[np.uint32]
    starts: NDArray[np.uint32]
    strings: bytes
    by_string: NDArray[np.uint32]

    def __len__(self) -> int:
        return len(self.starts)

    def numbers(self, name: str) -> tuple[int, ...]:
        """Return the numbers of all types of that name, ascending."""
        names, order = self._by_name
        found = [
            int(number)
            for offset in self.string_offsets(name)
            for number in order[np.searchsorted(names, offset, "left") : np.searchsorted(names, offset, "right")]
        ]
        return tuple(sorted(found))

    @functools.cached_property
    def _by_name(self) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """Offsets in the string section of the names of all types but void, ascending; and the type of each."""
        names = self.words[self.starts[1:]]
        order = np.argsort(names, kind="stable")
        return names[order], order + 1

    def string_offsets(self, name: str) -> list[int]:
        """Return the offsets of a string in the string section, ascending; a linker may have kept several copies."""
        wanted, order = name.encode("latin-1", "replace"), self.by_string
        first = bisect.bisect_left(order, wanted, key=self._bytes)
        return [int(offset) for offset in itertools.takewhile(lambda at: self._bytes(at) == wanted, order[first:])]

    def _bytes(self, offset: int) -> bytes:
        return self.strings[offset : self.strings.find(b"\0", offset)]

    def string(self, offset: int) -> str:
        """Return the string at an offset; raises TypeInfoError where there is none."""
        end = self.strings.find(b"\0", offset)
        if not 0 <= offset <= end:
            raise broken(f"string {offset:#x} is beyond the string section")
        return self.strings[offset:end].decode("latin-1")


def broken(what: str) -> TypeInfoError:
    """Return the error for a BTF that contradicts itself."""
    return TypeInfoError(
        f"the BTF is damaged: {what}",
        where="BTF of the kernel image",
        rule="Documentation/bpf/btf.rst",
        hint="copy or fetch the image again",
    )


def newer(what: str) -> TypeInfoError:
    """Return the error for a BTF of a format that is newer than the one that hvolab knows."""
    return TypeInfoError(
        f"the BTF is newer than hvolab: {what}",
        where="BTF of the kernel image",
        rule="include/uapi/linux/btf.h, v7.2",
        hint="update hvolab, or write the BTF with an older pahole",
    )


def read_index(content: bytes) -> TypeIndex:
    """Index a BTF section; raises TypeInfoError where the bytes are not BTF, are cut short, or of a newer format."""
    if len(content) < _HEADER.size:
        raise broken(f"it has {len(content)} bytes")
    magic, version, _, length, type_at, type_size, string_at, string_size = _HEADER.unpack_from(content)
    if magic != _MAGIC:
        raise broken(f"it begins with {content[:4].hex(' ')}")
    if version != 1:
        raise newer(f"it has version {version}")
    type_at, string_at = length + type_at, length + string_at
    if type_at + type_size > len(content) or string_at + string_size > len(content) or type_at % 4 or type_size % 4:
        raise broken(f"its sections end beyond its {len(content)} bytes")
    words = np.frombuffer(content, "<u4", type_size // 4, type_at)
    strings = content[string_at : string_at + string_size]
    return TypeIndex(words, _starts(words, len(strings), _sizes(content, length)), strings, _by_string(strings))


def _by_string(strings: bytes) -> NDArray[np.uint32]:
    """Return the offsets of the strings, each of which ends with a NUL, in the order of their bytes."""
    texts = strings.split(b"\0")[:-1]
    offsets = list(itertools.accumulate((len(text) + 1 for text in texts), initial=0))
    return np.array([offsets[index] for index in sorted(range(len(texts)), key=texts.__getitem__)], np.uint32)


def _sizes(content: bytes, length: int) -> dict[int, tuple[int, int]]:
    """Return the words after a type of each kind, and those for each member: of known kinds, and of the layout section.

    length  size of the header
    """
    sizes = {int(kind): _EXTRA.get(kind, (0, 0)) for kind in Kind if kind not in (Kind.VOID, Kind.NEWER)}
    if min(length, len(content)) >= _HEADER.size + _LAYOUT.size:
        at, size = _LAYOUT.unpack_from(content, _HEADER.size)
        layouts = content[length + at : length + at + size]
        for kind in range(len(layouts) // _KIND_LAYOUT.size):
            info, each, _ = _KIND_LAYOUT.unpack_from(layouts, kind * _KIND_LAYOUT.size)
            if kind > Kind.ENUM64 and not (info % 4 or each % 4):
                sizes[kind] = info // 4, each // 4
    return sizes


def _starts(words: NDArray[np.uint32], strings: int, sizes: Mapping[int, tuple[int, int]]) -> NDArray[np.uint32]:
    """Return the first word of each type, by a walk from one to the next.

    strings  size of the string section
    """
    listed = words.tolist()
    position, end = 0, len(listed)
    found = [0]
    while position + 3 <= end:
        info = listed[position + 1]
        kind = info >> 24 & 0x7F
        if kind not in sizes:
            what = f"type {len(found)} is of unknown kind {kind}"
            # a type of a new kind has a name like any other; damage has none
            if Kind.ENUM64 < kind < _NEXT_KINDS and listed[position] < strings:
                raise newer(f"{what}, and it has no layout section to skip it by")
            raise broken(what)
        found.append(position)
        extra, each = sizes[kind]
        position += 3 + extra + each * (info & 0xFFFFFF)
    if position != end:
        raise broken(f"its last type ends at word {position} of {end}")
    return np.array(found, np.uint32)
