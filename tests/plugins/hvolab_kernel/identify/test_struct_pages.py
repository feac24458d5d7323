# SPDX-License-Identifier: GPL-2.0-only
"""The layout of struct pages, from type information built by hand, and from Debian's kernels."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hvolab.plugin import registry
from hvolab.release import DEFAULT
from hvolab_kernel.identify.struct_pages import struct_page_layout
from hvolab_vmlinux.errors import KernelImageError
from hvolab_vmlinux.kernel import Kernel
from hvolab_vmlinux.open import read_kernel
from tests.plugins.hvolab_vmlinux.made_up_btf import BtfBuilder
from tests.plugins.hvolab_vmlinux.made_up_kernels import MadeUp, elf_image


def kernel_of(*, nodes: int, cpus: int, balanced: bool, index: bool) -> Kernel:
    built = BtfBuilder()
    long = built.integer("long unsigned int", 8)
    zones = ("ZONE_DMA32", "ZONE_NORMAL", "ZONE_MOVABLE")
    built.enum("zone_type", [(name, number) for number, name in enumerate(zones)] + [("__MAX_NR_ZONES", 3)])
    built.enum("pageflags", [("PG_head", 16), ("PG_reserved", 12)])
    built.enum("bootmem_type", [("SECTION_INFO", 1), ("MIX_SECTION_INFO", 2)])
    built.struct("zoneref", 16, [("zone", long, 0)])
    built.struct("zonelist", 16 * (3 * nodes + 1), [("_zonerefs", long, 0)])
    built.struct("cpumask", cpus // 8, [("bits", long, 0)])
    built.struct("task_struct", 8, [("numa_preferred_nid" if balanced else "pid", long, 0)])
    own = [("index", long, 32 * 8)] if index else [("compound_info", long, 16 * 8)]
    built.struct("zone", 8, [("present_pages" if index else "vmemmap_tails", long, 0)])
    built.struct("page", 64, [("flags", long, 0), *own, ("private", long, 40 * 8)])
    return read_kernel(elf_image(MadeUp(btf=built.content())), "here")


def test_bits_zones_and_fields_of_flags_are_those_of_the_kernel() -> None:
    layout = struct_page_layout(kernel_of(nodes=64, cpus=8192, balanced=True, index=True))
    assert (layout.pg_head, layout.pg_reserved, layout.pg_referenced) == (16, 12, DEFAULT.struct_page.pg_referenced)
    assert layout.zones == ("DMA32", "NORMAL", "MOVABLE")
    assert (layout.node_shift, layout.node_bits) == (58, 6)
    assert (layout.zone_shift, layout.zone_bits) == (56, 2)
    assert (layout.last_cpupid_shift, layout.last_cpupid_bits) == (35, 21)
    assert (layout.index, layout.bootmem_types, layout.masks_compound) == (32, (1, 2), False)
    assert layout.compound_stores == DEFAULT.struct_page.compound_stores  # it has no struct folio


def test_a_kernel_without_balancing_keeps_no_last_cpu_and_7_2_marks_boot_memory_in_private() -> None:
    layout = struct_page_layout(kernel_of(nodes=1, cpus=64, balanced=False, index=False))
    assert (layout.last_cpupid_bits, layout.node_bits) == (0, 0)
    assert (layout.index, layout.masks_compound) == (40, True)
    assert layout.compound_head == 16


def test_a_kernel_without_types_is_refused() -> None:
    with pytest.raises(KernelImageError, match="has no type information"):
        struct_page_layout(read_kernel(elf_image(MadeUp(btf=b"")), "here"))


#: Images, and the architecture and release whose layout they have.
IMAGES = {
    "x86_64-6.1": ("x86_64", "6.1"),
    "x86_64-6.12": ("x86_64", "6.12.117"),
    "riscv64-6.12": ("riscv", "6.12.117"),
    "arm64-6.12": ("arm64", "6.12.117"),
    "x86_64-7.x": ("x86_64", "7.2"),
    "riscv64-7.x": ("riscv", "7.2"),
    "arm64-7.x": ("arm64", "7.2"),
}
#: Node, zone and last CPU, by image: shift and bits of each. arm64's kernels have more CPUs than riscv64's.
FLAGS = {
    "x86_64-6.1": (54, 10, 51, 3, 30, 21),
    "x86_64-6.12": (54, 10, 51, 3, 30, 21),
    "riscv64-6.12": (62, 2, 60, 2, 45, 15),
    "arm64-6.12": (60, 4, 57, 3, 40, 17),
    "x86_64-7.x": (54, 10, 51, 3, 30, 21),
    "riscv64-7.x": (62, 2, 60, 2, 44, 16),
    "arm64-7.x": (60, 4, 57, 3, 40, 17),
}
_OF_FLAGS = ("node_shift", "node_bits", "zone_shift", "zone_bits", "last_cpupid_shift", "last_cpupid_bits")


@pytest.mark.parametrize("real_kernel", IMAGES, indirect=True)
def test_a_kernel_s_struct_pages_are_those_of_its_release(real_kernel: Kernel, request: pytest.FixtureRequest) -> None:
    name = request.node.callspec.params["real_kernel"]
    architecture, release = IMAGES[name]
    layout = struct_page_layout(real_kernel)
    declared = registry().architecture(architecture).select(release=release).struct_page
    if name == "arm64-7.x":  # without HVO a tail points to its head, though the member is called compound_info
        assert not layout.masks_compound
        declared = replace(declared, masks_compound=False)
    assert layout == declared
    assert tuple(getattr(layout, one) for one in _OF_FLAGS) == FLAGS[name]
    zones = ("DMA", "DMA32", "NORMAL", "MOVABLE", "DEVICE")
    assert layout.zones == (zones[1:] if architecture == "riscv" else zones)


@pytest.mark.parametrize("real_kernel", ["x86_64-6.1"], indirect=True)
def test_v6_1_has_the_cgroups_of_hugetlb_in_private_of_two_tails(real_kernel: Kernel) -> None:
    types, layout = real_kernel.types, struct_page_layout(real_kernel)
    pages = [types.enumerator(f"SUBPAGE_INDEX_{name}") for name in ("SUBPOOL", "CGROUP", "CGROUP_RSVD")]
    assert [field.page for field in layout.hugetlb_zeroed] == pages
    assert {field.offset for field in layout.hugetlb_zeroed[1:]} == {layout.private}
    assert types.enumerator("HUGETLB_PAGE_DTOR") == layout.hugetlb_set
