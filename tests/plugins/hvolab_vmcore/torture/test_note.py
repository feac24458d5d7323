# SPDX-License-Identifier: GPL-2.0-only
"""VMCOREINFO of machines: in the form of their release, and of their architecture alone."""

from __future__ import annotations

from hvolab.machine import MachineSpec, build_machine
from hvolab.plugin import registry
from hvolab_vmcore.core.kernels import KEYS, machine_of
from hvolab_vmcore.core.layout import has_nodes, layout_of
from hvolab_vmcore.files.vmcoreinfo import VmcoreInfo, parse_vmcoreinfo
from hvolab_vmcore.torture.note import vmcoreinfo_of


def info_of(architecture: str, release: str) -> VmcoreInfo:
    target = registry().architecture(architecture).select(release=release)
    info = parse_vmcoreinfo(vmcoreinfo_of(build_machine(target, MachineSpec(memory=128 << 20)), "6.0"))
    assert info.warnings == ()
    read, own = layout_of(info, target.struct_page, target.mode.page_size), target.struct_page
    same = (
        *("size", "flags", "lru_next", "compound_head", "private", "page_type", "pg_head", "hugetlb_set"),
        *("node_shift", "node_bits", "zone_shift", "zone_bits", "masks_compound"),
    )
    assert {name: getattr(read, name) for name in same} == {name: getattr(own, name) for name in same}
    assert (read.hugetlb_mark.page, read.hugetlb_mark.offset) == (own.hugetlb_mark.page, own.hugetlb_mark.offset)
    return info


def test_the_text_describes_the_struct_pages_of_its_release() -> None:
    old, new, newest = (info_of("x86_64", release) for release in ("6.1", "6.12", "7.2"))
    assert (old.number("HUGETLB_PAGE_DTOR"), old.offset("page.compound_dtor")) == (2, 16)
    assert new.number("PAGE_HUGETLB_MAPCOUNT_VALUE") == -201326592
    assert (new.offset("page.compound_head"), newest.offset("page.compound_info")) == (8, 8)
    assert has_nodes(new)


def test_it_is_recognized_as_that_of_its_architecture() -> None:
    machines = {name: machine_of(info_of(name, "6.12")) for name in ("x86_64", "arm64", "riscv")}
    assert machines == {"x86_64": "EM_X86_64", "arm64": "EM_AARCH64", "riscv": "EM_RISCV"}
    assert {keys.elf_machine for keys in KEYS} == set(machines.values())
