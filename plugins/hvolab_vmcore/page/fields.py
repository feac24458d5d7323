# SPDX-License-Identifier: GPL-2.0-only
"""Fields of a struct page, decoded as its kernel has them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Final

from hvolab.arithmetic import WORD_BYTES
from hvolab.release import StructPageLayout
from hvolab.release.struct_page import FolioField
from hvolab.serialize import Hex
from hvolab_vmcore.core.layout import has_nodes
from hvolab_vmcore.core.snapshot import CoreSnapshot
from hvolab_vmcore.page.flags import known_flags, page_types
from hvolab_vmcore.page.owner import Owner
from hvolab_vmcore.page.words import StructPage

_HALF: Final = WORD_BYTES // 2
#: Kinds of mapping by its two lowest bits. Kernel: FOLIO_MAPPING_ANON in include/linux/page-flags.h, v6.12.
_MAPPINGS: Final = ("", "anonymous memory", "movable", "KSM")
_FOLIO_ROLES: Final = {"huge page head", "huge page tail", "shared tail", "fake head", "compound head", "compound tail"}


@dataclass(frozen=True)
class FieldData:
    """Field of a struct page.

    name     the kernel's name; empty: the field has none here
    offset   offset of its first byte
    size     bytes
    value    the number in it
    meaning  the same in words; empty: nothing is known of it
    """

    name: str
    offset: int
    size: int
    value: Hex
    meaning: str


def fields_of(snapshot: CoreSnapshot, page: StructPage, owner: Owner) -> tuple[FieldData, ...]:
    """Return the fields of a struct page in order of offset, none of one that the dump does not have."""
    if page.data is None:
        return ()
    found = {
        offset: FieldData(name, offset, size, page.value(offset, size), meaning)
        for name, offset, size, meaning in _plain(snapshot, page, owner)
    }
    for name, offset, size, meaning in _of_folio(page, owner):
        found = {at: one for at, one in found.items() if at + one.size <= offset or offset + size <= at}
        found[offset] = FieldData(name, offset, size, page.value(offset, size), meaning)
    covered = {byte for one in found.values() for byte in range(one.offset, one.offset + one.size)}
    for start in range(0, len(page.data), _HALF):
        left = sorted(set(range(start, start + _HALF)) - covered)
        if left:
            found[left[0]] = FieldData("", left[0], len(left), page.value(left[0], len(left)), "")
    return tuple(one for _, one in sorted(found.items()))


def _plain(snapshot: CoreSnapshot, page: StructPage, owner: Owner) -> Iterator[tuple[str, int, int, str]]:
    """Yield name, offset, size and meaning of the fields that all struct pages have."""
    layout = page.layout
    yield "flags", layout.flags, WORD_BYTES, _flags(snapshot, page, owner)
    if page.head_va is None:
        yield "lru.next", layout.lru_next, WORD_BYTES, ""
        yield "lru.prev", layout.lru_prev, WORD_BYTES, ""
        yield "mapping", layout.mapping, WORD_BYTES, _MAPPINGS[page.word(layout.mapping) & 3]
    else:
        name = "compound_info" if layout.masks_compound else "compound_head"
        yield name, layout.compound_head, WORD_BYTES, f"tail; head at VA {page.head_va:#x}"
        is_tail = page.word(layout.mapping) == layout.tail_mapping
        yield "mapping", layout.mapping, WORD_BYTES, "TAIL_MAPPING" if is_tail else ""
    if layout.index != layout.private:
        yield "index", layout.index, WORD_BYTES, ""
    yield "private", layout.private, WORD_BYTES, _private(page, owner)
    yield "page_type", layout.page_type, _HALF, _type(snapshot, page)
    yield "_refcount", layout.refcount, _HALF, _signed(page.value(layout.refcount, _HALF))


def _flags(snapshot: CoreSnapshot, page: StructPage, owner: Owner) -> str:
    """Return the names of the flags that are set, the order of a folio in its first tail, and node and zone."""
    layout, flags = page.layout, page.flags
    known, parts = known_flags(snapshot), list[str]()
    if page.head_va is None:
        names = [name for name, bit in known.items() if flags >> bit & 1]
        others = [bit for bit in range(layout.last_cpupid_shift) if flags >> bit & 1 and bit not in known.values()]
        parts = [" ".join(names) or "no flag that is known", *(f"bit {bit}" for bit in others)]
    elif _number(page, owner) == layout.folio_order.page and layout.folio_order.bits:
        parts = [f"order {flags & (1 << layout.folio_order.bits) - 1}"]
    if has_nodes(snapshot.core.vmcoreinfo):
        number = layout.zone(flags)
        zone = layout.zones[number] if number < len(layout.zones) else str(number)
        parts.append(f"node {layout.node(flags) if layout.node_bits else 0}, zone {zone}")
    return ", ".join(parts)


def _number(page: StructPage, owner: Owner) -> int | None:
    """Return the number of the struct page of the folio whose bytes these are."""
    if owner.role == "compound tail" and owner.folio is not None:
        return page.pfn - owner.folio
    return owner.number


def _private(page: StructPage, owner: Owner) -> str:
    """Return hugetlb's flags of the head of a huge page."""
    if owner.number != 0 or owner.role not in {"huge page head", "fake head"}:
        return ""
    layout = page.layout
    bits = {one.name: getattr(layout, one.name) for one in fields(StructPageLayout) if one.name.startswith("hpg_")}
    value = page.word(layout.private)
    names = [f"HPG_{name.removeprefix('hpg_')}" for name, bit in bits.items() if value >> bit & 1]
    return " ".join(names) or "no HPG flag"


def _type(snapshot: CoreSnapshot, page: StructPage) -> str:
    """Return the page type, or the mapcount of a page without a type."""
    value = page.value(page.layout.page_type, _HALF)
    kinds = [name for name, one in page_types(snapshot).items() if one.matches(value)]
    return kinds[0] if kinds else f"no type that is known; mapcount {int(_signed(value)) + 1}"


def _signed(value: int) -> str:
    return str(value - (value >> 31 << 32))


def _of_folio(page: StructPage, owner: Owner) -> Iterator[tuple[str, int, int, str]]:
    """Yield the fields of a folio that are in this struct page of it."""
    if owner.role not in _FOLIO_ROLES:
        return
    layout = page.layout
    members: list[FolioField] = [
        *(store.field for store in layout.compound_stores),
        *layout.hugetlb_zeroed,
        layout.hugetlb_hwpoison,
    ]
    for field in members:
        if field.page != _number(page, owner) or not field.member or field.bits or field.member == "page_type":
            continue
        if field.octets > WORD_BYTES:
            yield f"{field.member}.next", field.offset, WORD_BYTES, ""
            yield f"{field.member}.prev", field.offset + WORD_BYTES, WORD_BYTES, ""
        else:
            yield field.member, field.offset, field.octets, ""
