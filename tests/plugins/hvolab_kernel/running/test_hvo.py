# SPDX-License-Identifier: GPL-2.0-only
"""A kernel's own HVO as an engine: pools on it, and what it leaves in memory."""

from __future__ import annotations

import json

import pytest

from hvolab.errors import HvolabError, UsageError
from hvolab.hugetlb import Pool
from hvolab.hvo import Hvo
from hvolab.invariants import Monitor, check
from hvolab.machine import FrameAllocator, MachineSpec, build_machine
from hvolab.plugin import registry
from hvolab_kernel import make_engine
from hvolab_kernel.code.calls import callees
from hvolab_kernel.identify.features import release_of
from hvolab_kernel.running import KernelHvo
from hvolab_vmlinux.kernel import Kernel
from tests.plugins.hvolab_kernel.cli_runner import hvolab, image_of
from tests.plugins.hvolab_kernel.kernel_machines import (
    DEBIANS,
    EACH,
    X86,
    huge_pages,
    machine_for,
    optimized_by_6_12_117,
)

pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")


@EACH
def test_a_pool_grows_and_shrinks_on_the_kernels_code_as_on_the_engine(real_kernel: Kernel) -> None:
    states = []
    for make in (lambda m: Hvo(m, release=release_of(real_kernel)), lambda m: KernelHvo(m, real_kernel)):
        machine = machine_for(real_kernel)
        pool = Pool(machine, huge_pages(machine), make(machine))
        monitor = Monitor(machine)
        with monitor.watch():
            pool.set_max_huge_pages(70)
            assert machine.key == 70
            assert not check(machine, [pool])
            pool.set_max_huge_pages(0)
        broken = {finding.rule for finding in monitor.findings}  # on arm64 live entries are replaced, as declared
        assert all(finding.declared for finding in monitor.findings)
        assert not check(machine, [pool])
        assert isinstance(machine.frames, FrameAllocator)
        mapped = machine.tables.frames(machine.struct_pages.base, 9).tolist()
        states.append((machine.counters, machine.frames.free_frames, mapped, broken))
    assert states[0] == states[1]


def test_the_engine_kernel_needs_an_image() -> None:
    assert registry().engines()["kernel"] is make_engine
    machine = build_machine(registry().architecture("x86_64").select(), MachineSpec(memory=256 << 20))
    with pytest.raises(UsageError, match="requires an image"):
        make_engine(machine, None)
    with pytest.raises(HvolabError, match="no kind of engine is called 'none'"):
        registry().engine("none")


@EACH
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
    hugetlb = layout.page_type_hugetlb << 24

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


@X86
def test_run_reports_the_same_with_the_kernels_engine_as_with_the_model(real_kernel: Kernel) -> None:
    arguments = ("run", "-a", "x86_64", "--memory", "512M", "--hugepages", "2M=5", "--json")
    model = json.loads(hvolab(*arguments).stdout)
    done = hvolab(*arguments, "--engine", "kernel", "--image", image_of(real_kernel))
    assert done.exit_code == 0
    kernels = json.loads(done.stdout)
    for key in ("work", "counters", "hugepages", "invariants", "findings"):
        assert kernels[key] == model[key]


@pytest.mark.parametrize("real_kernel", ["riscv64-6.12"], indirect=True)
def test_a_kernel_with_other_node_bits_is_refused(real_kernel: Kernel) -> None:
    arguments = ("run", "-a", "riscv", "--memory", "1G", "--hugepages", "2M=2", "--engine", "kernel")
    done = hvolab(*arguments, "--image", image_of(real_kernel), "--nodes", "2")
    assert done.exit_code == 2
    assert "the kernel has a page's node in 2 bits of its flags from bit 62 on" in " ".join(done.stderr.split())


@X86
def test_requested_operations_by_the_kernels_own_engine_are_those_of_the_model(real_kernel: Kernel) -> None:
    words = ("run", "-a", "x86_64", "--memory", "512M", "--hugepages", "2M=3", "--json")
    do = ("--do", "optimize, surplus 2M 2, use 2M, dissolve 2M, resize 2M 1, free 2M 9, shrink")
    model = json.loads(hvolab(*words, *do).stdout)
    done = hvolab(*words, *do, "--engine", "kernel", "--image", image_of(real_kernel))
    assert done.exit_code == 0
    kernel = json.loads(done.stdout)
    for key in ("operations", "work", "counters", "hugepages", "invariants", "findings"):
        assert kernel[key] == model[key]
