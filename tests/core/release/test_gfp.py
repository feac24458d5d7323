# SPDX-License-Identifier: GPL-2.0-only
"""GFP masks and the zones that they reach."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hvolab.errors import UsageError
from hvolab.machine.frames.zones import Extent, ZoneKind, ZoneSpec, gfp_zone, zonelist
from hvolab.release import gfp
from hvolab.release.gfp import Gfp, describe


@pytest.mark.parametrize(
    ("mask", "value"),
    [
        (gfp.GFP_KERNEL, 0xCC0),
        (gfp.GFP_PGTABLE_KERNEL, 0x40DC0),
        (gfp.GFP_VMEMMAP_HEAD, 0x12CC0),
        (gfp.GFP_VMEMMAP_RESTORE, 0x4CC0),
        (gfp.GFP_USER, 0x100CC0),
        (gfp.GFP_HIGHUSER, 0x100CC2),
        (gfp.GFP_HIGHUSER_MOVABLE, 0x100CCA),
    ],
)
def test_masks_have_the_values_that_kernels_pass(mask: int, value: int) -> None:
    assert mask == value
    assert type(mask) is int


def test_each_flag_is_one_bit_of_its_own() -> None:
    assert all(flag.value.bit_count() == 1 for flag in Gfp)
    assert sum(Gfp) == 0x7FFDFF  # every bit up to ACCOUNT but 0x200, which v6.12 does not use


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (0, "0"),
        (gfp.GFP_KERNEL, "GFP_KERNEL"),
        (gfp.GFP_VMEMMAP_HEAD, "GFP_KERNEL|__GFP_NORETRY|__GFP_NOWARN"),
        (gfp.GFP_VMEMMAP_RESTORE, "GFP_KERNEL|__GFP_RETRY_MAYFAIL"),
        (gfp.GFP_PGTABLE_KERNEL, "GFP_KERNEL|__GFP_ZERO|__GFP_COMP"),
        (gfp.GFP_USER, "GFP_USER"),
        (gfp.GFP_HIGHUSER, "GFP_HIGHUSER"),
        (gfp.GFP_HIGHUSER_MOVABLE | Gfp.COMP, "GFP_HIGHUSER_MOVABLE|__GFP_COMP"),
        (gfp.GFP_KERNEL | Gfp.THISNODE, "GFP_KERNEL|__GFP_THISNODE"),
        (Gfp.IO | Gfp.FS, "__GFP_IO|__GFP_FS"),
        (gfp.GFP_KERNEL | 0x1000_0200, "GFP_KERNEL|0x10000200"),
    ],
)
def test_a_mask_is_told_in_the_words_of_the_kernel(mask: int, words: str) -> None:
    assert describe(mask) == words


@given(st.integers(0, (1 << 32) - 1))
def test_the_words_for_a_mask_mean_that_mask(mask: int) -> None:
    total = 0
    for word in describe(mask).split("|"):
        if word.startswith("__GFP_"):
            total |= Gfp[word.removeprefix("__GFP_")]
        else:
            total |= getattr(gfp, word) if word.startswith("GFP_") else int(word, 16)
    assert total == mask


@pytest.mark.parametrize(
    ("mask", "kind"),
    [
        (gfp.GFP_KERNEL, ZoneKind.NORMAL),
        (gfp.GFP_HIGHUSER, ZoneKind.NORMAL),
        (gfp.GFP_HIGHUSER_MOVABLE, ZoneKind.MOVABLE),
        (gfp.GFP_KERNEL | Gfp.MOVABLE, ZoneKind.NORMAL),
        (gfp.GFP_KERNEL | Gfp.DMA32, ZoneKind.DMA32),
        (gfp.GFP_KERNEL | Gfp.DMA32 | Gfp.MOVABLE, ZoneKind.DMA32),
        (gfp.GFP_KERNEL | Gfp.DMA, ZoneKind.DMA),
        (gfp.GFP_KERNEL | Gfp.DMA | Gfp.MOVABLE, ZoneKind.DMA),
    ],
)
def test_a_mask_reaches_up_to_the_zone_of_its_bits(mask: int, kind: ZoneKind) -> None:
    assert gfp_zone(mask) is kind


@pytest.mark.parametrize("bits", [0x3, 0x5, 0x6, 0x7, 0xB, 0xD, 0xE, 0xF])
def test_zone_bits_that_exclude_each_other_are_refused(bits: int) -> None:
    with pytest.raises(UsageError, match=r"exclude each other.*GFP_ZONE_BAD"):
        gfp_zone(gfp.GFP_KERNEL | bits)


def machine_of_three_nodes() -> list[ZoneSpec]:
    kinds = [(0, ZoneKind.DMA), (0, ZoneKind.DMA32), (0, ZoneKind.NORMAL), (0, ZoneKind.MOVABLE)]
    kinds += [(1, ZoneKind.MOVABLE), (2, ZoneKind.NORMAL), (2, ZoneKind.MOVABLE)]
    return [ZoneSpec(kind, node, (Extent(i * 16, i * 16 + 16),)) for i, (node, kind) in enumerate(kinds)]


def tried(node: int, mask: int) -> list[tuple[int, str]]:
    return [(zone.node, zone.kind.name) for zone in zonelist(node, mask, machine_of_three_nodes())]


def test_kernel_memory_comes_from_normal_then_dma32_then_dma_then_from_other_nodes() -> None:
    assert tried(0, gfp.GFP_KERNEL) == [(0, "NORMAL"), (0, "DMA32"), (0, "DMA"), (2, "NORMAL")]


def test_a_movable_request_tries_all_zones_of_a_node_before_the_next_node() -> None:
    own = [(0, "MOVABLE"), (0, "NORMAL"), (0, "DMA32"), (0, "DMA")]
    assert tried(0, gfp.GFP_HIGHUSER_MOVABLE) == [*own, (1, "MOVABLE"), (2, "MOVABLE"), (2, "NORMAL")]


def test_of_two_nodes_equally_far_the_lower_number_comes_first() -> None:
    assert tried(1, gfp.GFP_KERNEL) == [(0, "NORMAL"), (0, "DMA32"), (0, "DMA"), (2, "NORMAL")]


def test_dma32_and_dma_requests_never_climb() -> None:
    assert tried(2, gfp.GFP_KERNEL | Gfp.DMA32) == [(0, "DMA32"), (0, "DMA")]
    assert tried(2, gfp.GFP_KERNEL | Gfp.DMA) == [(0, "DMA")]


def test_thisnode_leaves_a_movable_only_node_without_kernel_memory() -> None:
    assert tried(1, gfp.GFP_KERNEL | Gfp.THISNODE) == []
    assert tried(1, gfp.GFP_HIGHUSER_MOVABLE | Gfp.THISNODE) == [(1, "MOVABLE")]


def test_a_node_without_memory_falls_back_to_the_nearest() -> None:
    assert tried(7, gfp.GFP_KERNEL)[0] == (2, "NORMAL")


def test_no_node_at_all_is_refused() -> None:
    with pytest.raises(UsageError, match="NUMA_NO_NODE"):
        zonelist(-1, gfp.GFP_KERNEL, machine_of_three_nodes())
