# SPDX-License-Identifier: GPL-2.0-only
"""Layouts of struct page: the flags word, links of tails, and numbers of zones."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hvolab.release import DEFAULT


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


def test_memory_of_a_zone_that_the_kernel_lacks_is_in_zone_normal() -> None:
    assert DEFAULT.struct_page.zone_number("DMA32") == 1
    without_dma = replace(DEFAULT.struct_page, zones=("DMA32", "NORMAL", "MOVABLE"))
    assert without_dma.zone_number("DMA") == without_dma.zone_number("NORMAL") == 1


def test_bits_with_several_names_are_one_bit() -> None:
    assert DEFAULT.struct_page.words == 8
    assert replace(DEFAULT.struct_page, size=56).words == 7
    assert DEFAULT.struct_page.pg_vmemmap_self_hosted == DEFAULT.struct_page.pg_owner_priv_1
    assert DEFAULT.struct_page.pt_kernel == DEFAULT.struct_page.pg_referenced
