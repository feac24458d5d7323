# SPDX-License-Identifier: GPL-2.0-only
"""Layouts of struct page: the flags word, links of tails, and numbers of zones."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hvolab.release import DEFAULT
from hvolab.release.struct_page import FolioField, WordPlace


@pytest.mark.parametrize(("node", "zone"), [(0, 2), (5, 3), (1023, 7)])
def test_links_hold_node_and_zone_and_no_last_cpu(node: int, zone: int) -> None:
    flags = DEFAULT.struct_page.links(node, zone)
    assert (DEFAULT.struct_page.node(flags), DEFAULT.struct_page.zone(flags)) == (node, zone)
    assert flags >> 30 & 0x1FFFFF == 0x1FFFFF
    assert flags < 1 << 64
    assert not flags & 0x3FFFFFFF


def test_a_tail_links_to_its_head_or_holds_the_mask_of_its_compound_page() -> None:
    head = 0xFFFFEA0000168000
    assert DEFAULT.struct_page.tail_link(head, 9) == head | 1
    masked = replace(DEFAULT.struct_page, masks_compound=True).tail_link(head, 9)
    assert masked & 1
    assert (head + 64 * 300) & masked & ~1 == head


def test_the_link_of_a_tail_leads_to_the_head_and_a_word_that_is_no_link_to_the_page_itself() -> None:
    head, layout = 0xFFFFEA0000168000, DEFAULT.struct_page
    for one in (layout, replace(layout, masks_compound=True)):
        assert one.head_from_link(head + 64 * 300, one.tail_link(head, 9)) == head
        assert one.head_from_link(head, 0xFFFF888000001000) == head


def test_memory_of_a_zone_that_the_kernel_lacks_is_in_zone_normal() -> None:
    assert DEFAULT.struct_page.zone_number("DMA32") == 1
    without_dma = replace(DEFAULT.struct_page, zones=("DMA32", "NORMAL", "MOVABLE"))
    assert without_dma.zone_number("DMA") == without_dma.zone_number("NORMAL") == 1


def test_bits_with_several_names_are_one_bit() -> None:
    assert DEFAULT.struct_page.words == 8
    assert replace(DEFAULT.struct_page, size=56).words == 7
    assert DEFAULT.struct_page.pg_vmemmap_self_hosted == DEFAULT.struct_page.pg_owner_priv_1
    assert DEFAULT.struct_page.pt_kernel == DEFAULT.struct_page.pg_referenced


@pytest.mark.parametrize("byte_order", ["little", "big"])
@pytest.mark.parametrize(
    ("field", "value"),
    [(FolioField(1, 17, 1), 0x12), (FolioField(1, 0, 8, bits=8), 9), (FolioField(0, 52, 4), 7), (FolioField(2, 8), 5)],
)
@pytest.mark.parametrize("size", [64, 128])
def test_a_field_has_the_same_bytes_in_c_and_through_its_word(
    byte_order: str, field: FolioField, value: int, size: int
) -> None:
    memory = bytearray(3 * size)
    place = field.place(size, byte_order)
    word = slice(place.offset, place.offset + 8)
    stored = place.put(int.from_bytes(memory[word], byte_order), value)  # type: ignore[arg-type]
    memory[word] = stored.to_bytes(8, byte_order)  # type: ignore[arg-type]
    start = field.page * size + field.offset
    assert int.from_bytes(memory[start : start + field.octets], byte_order) == value  # type: ignore[arg-type]
    assert memory[field.low_byte(size, byte_order)] == value
    assert place.get(stored) == value


def test_a_field_shares_its_word_with_others() -> None:
    place = FolioField(0, 4, 4).place(64, "little")
    assert place == WordPlace(0, 32, 0xFFFFFFFF)
    assert place.put(0x1111111122222222, 0x33333333) == 0x3333333322222222
    assert FolioField(1, 0, bits=8).place(64, "little").put(0xABCD, 9) == 0xAB09


def test_a_boot_page_is_marked_by_a_whole_word_or_by_four_bits_of_private() -> None:
    layout = DEFAULT.struct_page
    assert layout.bootmem_mask == (1 << 64) - 1
    assert replace(layout, index=layout.private).bootmem_mask == 0xF
