# SPDX-License-Identifier: GPL-2.0-only
"""A kernel's own HVO as an engine: pools on it, and what it leaves in memory."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hvolab.errors import HvolabError, UsageError
from hvolab.hugetlb import Pool
from hvolab.hvo import Hvo, ImageEngineMaker
from hvolab.invariants import Monitor, check
from hvolab.machine import FrameAllocator, MachineSpec, build_machine
from hvolab.plugin import registry
from hvolab_kernel import make_engine
from hvolab_kernel.code.calls import callees
from hvolab_kernel.comparison import target_of
from hvolab_kernel.identify.release import release_of
from hvolab_kernel.identify.struct_pages import struct_page_layout
from hvolab_kernel.running import KernelHvo
from hvolab_vmlinux.kernel import Kernel
from tests.plugins.hvolab_kernel.kernel_machines import (
    DEBIANS,
    EACH,
    EACH_6_12,
    huge_pages,
    machine_for,
    optimized_by_6_12_117,
)

pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")


@pytest.mark.slow
@EACH
def test_a_pool_grows_and_shrinks_on_the_kernels_code_as_on_the_engine(real_kernel: Kernel) -> None:
    states = []
    for make in (lambda m: Hvo(m, release=release_of(real_kernel)), lambda m: KernelHvo(m, real_kernel)):
        machine = machine_for(real_kernel)
        pool = Pool(machine, huge_pages(machine), make(machine))
        monitor = Monitor(machine)
        with monitor.watch():
            pool.set_max_huge_pages(70)
            assert machine.key == 70 * release_of(real_kernel).variant.counts_folios
            assert not check(machine, [pool])
            pool.set_max_huge_pages(0)
        broken = {finding.rule for finding in monitor.findings}  # on arm64 live entries are replaced, as declared
        assert all(finding.declared or finding.fault for finding in monitor.findings)
        assert not check(machine, [pool])
        assert isinstance(machine.frames, FrameAllocator)
        mapped = machine.tables.frames(machine.struct_pages.base, 9).tolist()
        states.append((machine.counters, machine.frames.free_frames, mapped, broken))
    assert states[0] == states[1]


def test_the_engine_kernel_needs_an_image() -> None:
    assert registry().engines()["kernel"] is make_engine
    assert isinstance(make_engine, ImageEngineMaker)
    machine = build_machine(registry().architecture("x86_64").select(), MachineSpec(memory=256 << 20))
    for call in (lambda: make_engine(machine, None), lambda: make_engine.setup(None, None)):
        with pytest.raises(UsageError, match="requires an image"):
            call()
    with pytest.raises(HvolabError, match="no kind of engine is called 'none'"):
        registry().engine("none")


@EACH_6_12
def test_6_12_117_restores_no_valid_tail_at_the_start_of_a_vmemmap_page(real_kernel: Kernel) -> None:
    machine, hvo, pool, folio = optimized_by_6_12_117(real_kernel)
    assert not check(machine, [pool])
    assert hvo.restore_folio(pool.h, folio) == 0
    broken = [finding.what for finding in check(machine, [pool])]
    pages = machine.target.mode.page_size // machine.struct_pages.layout.size
    for tail in range(pages, 1 << pool.h.order, pages):
        assert any(what.startswith(f"tail {tail} of folio") and "does not point to its head" in what for what in broken)


@DEBIANS
def test_freeing_repairs_the_tail_links_but_not_the_type_and_flags_of_hugetlb(real_kernel: Kernel) -> None:
    machine, hvo, pool, folio = optimized_by_6_12_117(real_kernel)
    assert hvo.restore_folio(pool.h, folio) == 0
    layout, load = machine.struct_pages.layout, machine.cpus[0].load_word
    copies = range(folio + 4096, folio + (layout.size << pool.h.order), 4096)
    hugetlb = layout.hugetlb_set

    def words(offset: int) -> set[int]:
        return {load(page + offset) for page in copies}

    def types() -> set[int]:
        return {word & 0xFFFFFFFF for word in words(layout.page_type)}

    assert words(layout.flags) == {load(folio + layout.flags)}
    assert types() == {hugetlb}
    # after hugetlb_vmemmap_restore_folio(), __update_and_free_hugetlb_folio() only calls the page allocator
    called = callees(real_kernel, "__update_and_free_hugetlb_folio")
    assert {"hugetlb_vmemmap_restore_folio", "__folio_put"} <= called
    assert not [name for name in called if "init" in name or "prep" in name or "reset" in name]
    assert hvo.kernel_cpu.call("free_pages_prepare", folio, pool.h.order).required().result & 0xFF == 1
    assert not any(word >> layout.pg_head & 1 for word in words(layout.flags))
    assert words(layout.compound_head) == words(layout.mapping) == {0}
    assert types() == {hugetlb}
    assert all(word >> layout.hpg_vmemmap_optimized & 1 for word in words(layout.private))


@pytest.mark.slow
@EACH
def test_a_machine_of_several_nodes_has_the_node_bits_of_the_kernel(real_kernel: Kernel) -> None:
    spec = MachineSpec(memory=1 << 30, nodes=2)
    layout = replace(struct_page_layout(real_kernel), node_shift=54, node_bits=9)
    machine = build_machine(target_of(real_kernel), replace(spec, layout=layout))
    with pytest.raises(UsageError, match="the machine in 9 from bit 54 on"):
        KernelHvo(machine, real_kernel)
    machine = build_machine(target_of(real_kernel), replace(spec, layout=struct_page_layout(real_kernel)))
    assert KernelHvo(machine, real_kernel).release is release_of(real_kernel)
