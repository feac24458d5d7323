"""A kernel's own functions run beside a machine, and what goes wrong in them is told by symbol and backtrace."""

from __future__ import annotations

import weakref

import numpy as np
import pytest

from hvolab.errors import HvolabError, KernelBug, UsageError
from hvolab.hugetlb import Hstate, Pool, hstates
from hvolab.hugetlb.hstate import size_to_hstate
from hvolab.hvo import V6_12_117, Hvo
from hvolab.invariants import Monitor, check
from hvolab.machine import FrameAllocator, Machine, MachineSpec, build_machine, lists
from hvolab.plugin import registry
from hvolab_kernel import make_engine
from hvolab_kernel.forms import form_of
from hvolab_kernel.kernel import Kernel
from hvolab_kernel.listing import callees
from hvolab_kernel.running import Ending, KernelCpu, KernelHvo

pytest.importorskip("unicorn")

BOTH = pytest.mark.parametrize("real_kernel", ["x86_64-6.12", "riscv64-6.12"], indirect=True)
X86 = pytest.mark.parametrize("real_kernel", ["x86_64-6.12"], indirect=True)
ARCHITECTURES = {"EM_X86_64": "x86_64", "EM_RISCV": "riscv"}
SIZE = 2 << 20


def machine_for(kernel: Kernel, mode: str | None = None) -> Machine:
    target = registry().architecture(ARCHITECTURES[kernel.image.machine]).select(mode)
    return build_machine(target, MachineSpec(memory=512 << 20))


def huge_pages(machine: Machine) -> Hstate:
    return size_to_hstate(hstates(machine), SIZE)


@BOTH
def test_a_pool_grows_and_shrinks_on_the_kernels_code_and_leaves_the_engines_bytes(real_kernel: Kernel) -> None:
    left = []
    for make in (lambda m: Hvo(m, form=form_of(real_kernel)), lambda m: KernelHvo(m, real_kernel)):
        machine = machine_for(real_kernel)
        pool = Pool(machine, huge_pages(machine), make(machine))
        monitor = Monitor(machine)
        with monitor.watch():
            pool.set_max_huge_pages(70)
            assert machine.key == 70
            assert not check(machine, [pool])
            pool.set_max_huge_pages(0)
        assert not monitor.findings
        assert not check(machine, [pool])
        assert isinstance(machine.frames, FrameAllocator)
        left.append((machine.counters, machine.frames.free_frames, machine.tables.frames(machine.struct_pages.base, 9)))
    assert left[0][:2] == left[1][:2]
    assert np.array_equal(left[0][2], left[1][2])


@BOTH
def test_a_fault_is_the_architectures_with_the_function_and_those_that_called_it(real_kernel: Kernel) -> None:
    machine = machine_for(real_kernel)
    cpu = KernelHvo(machine, real_kernel).kernel_cpu
    nowhere = machine.struct_pages.base - (1 << 30)
    outcome = cpu.call("hugetlb_vmemmap_optimize_folio", cpu.placed.data.va, nowhere)
    assert outcome.ending is Ending.FAULT
    assert outcome.fault is not None
    assert outcome.fault.va - nowhere in range(64)
    assert outcome.place.startswith("vmemmap_should_optimize_folio+")
    assert any("hugetlb_vmemmap_optimize_folio+" in frame for frame in outcome.backtrace)
    with pytest.raises(KernelBug, match="faulted at vmemmap_should_optimize_folio"):
        outcome.required()


@BOTH
def test_a_corrupt_list_ends_at_the_kernels_own_bug(real_kernel: Kernel) -> None:
    machine = machine_for(real_kernel)
    hvo = KernelHvo(machine, real_kernel)
    pool = Pool(machine, huge_pages(machine), hvo)
    pool.set_max_huge_pages(2)
    first, second = pool.free_folios()
    head = pool.new_list(0)
    lru = machine.struct_pages.layout.lru_next
    hvo.restore_folio(pool.h, second)
    lists.init(machine.cpus[0], head)
    machine.cpus[0].store_word(head, second + lru)  # but nothing leads back
    machine.cpus[0].store_word(second + lru, first + lru)
    with pytest.raises(KernelBug, match=r"ran into a BUG\(\) at .*: (ud2|c?\.?ebreak)"):
        hvo.restore_folios(pool.h, head, pool.new_list(1))
    assert hvo.last is not None
    assert hvo.last.ending is Ending.BUG
    assert any("hugetlb_vmemmap_restore_folios" in frame for frame in hvo.last.backtrace)


@BOTH
def test_a_loop_that_does_not_end_is_stopped(real_kernel: Kernel) -> None:
    machine = machine_for(real_kernel)
    machine.optimize_enabled = False
    cpu = KernelCpu(machine, real_kernel, time=300_000)
    head, node = (machine.kernel_data(lists.SIZE) for _ in range(2))
    folio = machine.struct_pages.va(machine.memory.first_pfn + 1024)
    lru = machine.struct_pages.layout.lru_next
    machine.cpus[0].store_word(head, folio + lru)
    machine.cpus[0].store_word(folio + lru, folio + lru)  # it leads to itself
    outcome = cpu.call("hugetlb_vmemmap_optimize_folios", cpu.placed.data.va, head)
    assert outcome.ending is Ending.STUCK
    assert outcome.place
    assert node


@BOTH
def test_what_nobody_can_answer_for_stops_the_call_and_what_is_printed_is_noted(real_kernel: Kernel) -> None:
    cpu = KernelCpu(machine_for(real_kernel), real_kernel)
    outcome = cpu.call("panic")
    assert outcome.ending is Ending.STOPPED
    assert outcome.what == "panic() was called"
    outcome = cpu.call("_printk", real_kernel.symbols.address("linux_banner"))
    assert outcome.returned
    assert "_printk() was called" in outcome.findings[0]


@X86
def test_a_kernel_runs_on_a_machine_of_its_architecture_only(real_kernel: Kernel) -> None:
    machine = build_machine(registry().architecture("riscv").select("Sv39"), MachineSpec(memory=256 << 20))
    with pytest.raises(UsageError, match="does not run on riscv"):
        KernelHvo(machine, real_kernel)


@X86
def test_the_emulator_goes_when_nobody_has_the_cpu_any_more(real_kernel: Kernel) -> None:
    hvo = KernelHvo(machine_for(real_kernel), real_kernel)
    gone = weakref.ref(hvo.kernel_cpu)
    del hvo
    assert gone() is None


def test_the_kind_of_engine_asks_for_an_image() -> None:
    assert registry().engines()["kernel"] is make_engine
    machine = build_machine(registry().architecture("x86_64").select(), MachineSpec(memory=256 << 20))
    with pytest.raises(UsageError, match="needs a kernel"):
        make_engine(machine, None)
    with pytest.raises(HvolabError, match="no kind of engine is called 'none'"):
        registry().engine("none")


@BOTH
def test_what_6_12_117_restores_is_no_tail_where_a_page_of_vmemmap_begins(real_kernel: Kernel) -> None:
    if form_of(real_kernel) is not V6_12_117:
        pytest.skip("this kernel resets the struct pages that it restores")
    machine = machine_for(real_kernel)
    hvo = KernelHvo(machine, real_kernel)
    pool = Pool(machine, huge_pages(machine), hvo)
    pool.set_max_huge_pages(1)
    (folio,) = pool.free_folios()
    assert not check(machine, [pool])
    assert hvo.restore_folio(pool.h, folio) == 0
    broken = [finding.what for finding in check(machine, [pool])]
    pages = machine.target.mode.page_size // machine.struct_pages.layout.size
    for tail in range(pages, 1 << pool.h.order, pages):
        assert any(what.startswith(f"tail {tail} of folio") and "does not point to its head" in what for what in broken)


@BOTH
def test_freeing_repairs_of_them_what_makes_a_tail_but_not_type_and_flags_of_hugetlb(real_kernel: Kernel) -> None:
    if form_of(real_kernel) is not V6_12_117:
        pytest.skip("this kernel resets the struct pages that it restores")
    machine = machine_for(real_kernel)
    hvo = KernelHvo(machine, real_kernel)
    pool = Pool(machine, huge_pages(machine), hvo)
    pool.set_max_huge_pages(1)
    (folio,) = pool.free_folios()
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
    # what __update_and_free_hugetlb_folio() calls behind hugetlb_vmemmap_restore_folio() ends in the page allocator
    called = callees(real_kernel, "__update_and_free_hugetlb_folio")
    assert {"hugetlb_vmemmap_restore_folio", "__folio_put"} <= called
    assert not [name for name in called if "init" in name or "prep" in name or "reset" in name]
    assert hvo.kernel_cpu.call("free_pages_prepare", folio, pool.h.order).required().result & 0xFF == 1
    assert not any(word >> layout.pg_head & 1 for word in words(layout.flags))
    assert words(layout.compound_head) == words(layout.mapping) == {0}
    assert types() == {hugetlb}
    assert all(word >> layout.hpg_vmemmap_optimized & 1 for word in words(layout.private))
