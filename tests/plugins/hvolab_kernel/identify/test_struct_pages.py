# SPDX-License-Identifier: GPL-2.0-only
"""The layout of struct pages, from type information built by hand, and from Debian's kernels."""

from __future__ import annotations

from dataclasses import fields

import pytest

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
    own = [("index", long, 32 * 8)] if index else [("compound_info", long, 8 * 8)]
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


def test_a_kernel_without_balancing_keeps_no_last_cpu_and_7_2_marks_boot_memory_in_private() -> None:
    layout = struct_page_layout(kernel_of(nodes=1, cpus=64, balanced=False, index=False))
    assert (layout.last_cpupid_bits, layout.node_bits) == (0, 0)
    assert (layout.index, layout.masks_compound) == (40, True)


def test_a_kernel_without_types_is_refused() -> None:
    with pytest.raises(KernelImageError, match="has no type information"):
        struct_page_layout(read_kernel(elf_image(MadeUp(btf=b"")), "here"))


@pytest.mark.parametrize("real_kernel", ["x86_64-6.12", "x86_64-6.1", "x86_64-7.x", "riscv64-7.x"], indirect=True)
def test_struct_pages_are_laid_out_as_the_kernel_has_them(real_kernel: Kernel, request: pytest.FixtureRequest) -> None:
    layout = struct_page_layout(real_kernel)
    changed = {one.name: getattr(layout, one.name) for one in fields(layout)}
    assert {name: value for name, value in changed.items() if value != getattr(DEFAULT.struct_page, name)} == {
        "x86_64-6.12": {},
        "x86_64-6.1": {"pg_head": 16, "pg_referenced": 1, "pg_reserved": 12},
        "x86_64-7.x": {"index": 40, "bootmem_types": (1, 2), "masks_compound": True},
        # three zones and four nodes at most; what a page's last CPU was follows below
        "riscv64-7.x": {
            "zones": ("DMA32", "NORMAL", "MOVABLE", "DEVICE"),
            "zone_bits": 2,
            "zone_shift": 60,
            "node_bits": 2,
            "node_shift": 62,
            "last_cpupid_bits": 16,
            "last_cpupid_shift": 44,
            "masks_compound": True,
        },
    }[request.node.callspec.params["real_kernel"]]
