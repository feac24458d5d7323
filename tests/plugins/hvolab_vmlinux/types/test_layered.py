# SPDX-License-Identifier: GPL-2.0-only
"""Types of a kernel and of an object: whose structs count, and how they differ."""

from __future__ import annotations

from hvolab_vmlinux.types.btf import Types
from hvolab_vmlinux.types.index import read_index
from hvolab_vmlinux.types.layered import LayeredTypes, differing_structs
from tests.plugins.hvolab_vmlinux.made_up_btf import BtfBuilder


def types(*, walk: tuple[str, ...], order_at: int = 64, more: str = "") -> Types:
    made = BtfBuilder()
    long = made.integer("long unsigned int", 8)
    made.struct("vmemmap_remap_walk", 8 * len(walk), [(name, long, 64 * index) for index, name in enumerate(walk)])
    made.struct("hstate", 16, [("nr", long, 0), ("order", long, order_at)])
    if more:
        made.struct(more, 8, [("one", long, 0)])
    return Types(read_index(made.content()))


KERNEL = types(walk=("reuse_page", "flags"))


def test_structs_of_the_objects_own_file_are_the_objects() -> None:
    own = types(walk=("flags", "reuse_page", "vmemmap_tail"), order_at=0)
    both = LayeredTypes(KERNEL.index, own, {"vmemmap_remap_walk"})
    assert both.offset("vmemmap_remap_walk", "reuse_page") == 8
    assert both.has_member("vmemmap_remap_walk", "vmemmap_tail")
    assert both.size("vmemmap_remap_walk") == 24
    assert both.offset("hstate", "order") == 8
    assert not both.has_member("hstate", "flags")


def test_each_struct_that_differs_is_named_with_what_moved() -> None:
    same = types(walk=("other",), more="of_the_patch")
    assert differing_structs(KERNEL, same, {"vmemmap_remap_walk"}) == ()
    (walk,) = differing_structs(KERNEL, same, ())
    assert (
        walk
        == "struct vmemmap_remap_walk: 8 bytes, in the image 16; other at bit 0, in the image none; without reuse_page"
    )
    (moved,) = differing_structs(KERNEL, types(walk=("other",), order_at=32), {"vmemmap_remap_walk"})
    assert moved == "struct hstate: 16 bytes, in the image 16; order at bit 32, in the image 64"
