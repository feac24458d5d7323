# SPDX-License-Identifier: GPL-2.0-only
"""Layouts of struct page: the flags word, links of tails, and numbers of zones."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hvolab.machine import STRUCT_PAGE_V6_12


@pytest.mark.parametrize(("node", "zone"), [(0, 2), (5, 3), (1023, 7)])
def test_links_hold_node_and_zone_and_no_last_cpu(node: int, zone: int) -> None:
    flags = STRUCT_PAGE_V6_12.links(node, zone)
    assert (STRUCT_PAGE_V6_12.node(flags), STRUCT_PAGE_V6_12.zone(flags)) == (node, zone)
    assert flags >> 30 & 0x1FFFFF == 0x1FFFFF
    assert flags < 1 << 64
    assert not flags & 0x3FFFFFFF


def test_a_tail_links_to_its_head_or_holds_the_mask_of_its_compound_page() -> None:
    head = 0xFFFFEA0000168000
    assert STRUCT_PAGE_V6_12.tail_link(head, 9) == head | 1
    masked = replace(STRUCT_PAGE_V6_12, masks_compound=True).tail_link(head, 9)
    assert masked & 1
    assert (head + 64 * 300) & masked & ~1 == head


def test_memory_of_a_zone_that_the_kernel_lacks_is_in_zone_normal() -> None:
    assert STRUCT_PAGE_V6_12.zone_number("DMA32") == 1
    without_dma = replace(STRUCT_PAGE_V6_12, zones=("DMA32", "NORMAL", "MOVABLE"))
    assert without_dma.zone_number("DMA") == without_dma.zone_number("NORMAL") == 1


def test_bits_with_several_names_are_one_bit() -> None:
    assert STRUCT_PAGE_V6_12.words == 8
    assert replace(STRUCT_PAGE_V6_12, size=56).words == 7
    assert STRUCT_PAGE_V6_12.pg_vmemmap_self_hosted == STRUCT_PAGE_V6_12.pg_owner_priv_1
    assert STRUCT_PAGE_V6_12.pt_kernel == STRUCT_PAGE_V6_12.pg_referenced
