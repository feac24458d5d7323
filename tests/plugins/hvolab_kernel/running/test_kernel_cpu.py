# SPDX-License-Identifier: GPL-2.0-only
"""An emulated CPU that calls a kernel's functions: limits, TLB, static key, lifetime."""

from __future__ import annotations

import weakref

import pytest

from hvolab.arch import PageFault
from hvolab.errors import KernelBug
from hvolab.hvo import Hvo
from hvolab.machine.struct_pages import lists
from hvolab.trace import Event, KeyChanged, RangeFlushed
from hvolab_kernel.code.stubs import StubAction, inline_of, stubs_of
from hvolab_kernel.identify.release import release_of
from hvolab_kernel.running import CallStatus, KernelCpu, KernelHvo, kernel_cpu
from hvolab_unicorn.emulator.library import translate
from hvolab_vmlinux.kernel import Kernel
from tests.plugins.hvolab_kernel.kernel_machines import ARM64, EACH, EACH_6_12, X86, machine_for, unoptimized

pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")

NOP = bytes.fromhex("1f2003d5")


@EACH_6_12
def test_an_endless_loop_is_stopped_at_the_same_instruction_each_time(real_kernel: Kernel) -> None:
    machine = machine_for(real_kernel)
    machine.optimize_enabled = False
    head = machine.kernel_data(lists.SIZE)
    folio = machine.struct_pages.va(machine.memory.first_pfn + 1024)
    lru = machine.struct_pages.layout.lru_next
    machine.cpus[0].store_word(head, folio + lru)
    machine.cpus[0].store_word(folio + lru, folio + lru)  # it points to itself
    ended = []
    for instructions in (300_000, 300_000, 300_001):
        cpu = KernelCpu(machine, real_kernel, instructions=instructions)
        results = [cpu.call("hugetlb_vmemmap_optimize_folios", cpu.loaded.data.va, head) for _ in range(2)]
        assert results[0] == results[1]
        ended.append(results[0])
    assert ended[0] == ended[1]
    assert ended[0].place != ended[2].place  # one instruction further
    for result in ended:
        assert result.status is CallStatus.STUCK
        assert any(frame.startswith("hugetlb_vmemmap_optimize_folios+") for frame in result.backtrace)
        assert sum(line.startswith("-> ") for line in result.disassembly) == 1
    with pytest.raises(KernelBug, match=r"did not end at .*: stopped after 300,000 instructions.*-> "):
        ended[0].required()


@EACH_6_12
def test_a_call_that_ends_is_not_stopped_before_its_last_instruction(real_kernel: Kernel) -> None:
    machine = machine_for(real_kernel)
    few, most = 1, 1 << 16  # bounds of the instructions for a folio that is not to be optimized
    machine.optimize_enabled = False
    folio = machine.struct_pages.va(machine.memory.first_pfn + 1024)
    cpu = KernelCpu(machine, real_kernel)
    assert cpu.instructions > most
    while most - few > 1:
        cpu.instructions = (few + most) // 2
        if cpu.call("hugetlb_vmemmap_optimize_folio", cpu.loaded.data.va, folio).returned:
            most = cpu.instructions
        else:
            few = cpu.instructions
    assert 10 < most < 200
    cpu.instructions = most - 1
    assert cpu.call("hugetlb_vmemmap_optimize_folio", cpu.loaded.data.va, folio).status is CallStatus.STUCK


@pytest.mark.slow
@EACH
@pytest.mark.parametrize("room", [True, False], ids=["room", "no room"])
def test_functions_that_do_nothing_return_0_with_a_handler_only_where_they_have_no_room(
    real_kernel: Kernel, monkeypatch: pytest.MonkeyPatch, *, room: bool
) -> None:
    if not room:
        monkeypatch.setattr(kernel_cpu, "function_end", lambda _, va: va + 1)
    handled: list[int] = []
    machine = machine_for(real_kernel)
    with monkeypatch.context() as patch:
        patch.setattr(KernelCpu, "_handle_at", lambda _, va, *__, **___: handled.append(va))
        KernelCpu(machine, real_kernel)
    nothing = [one for one in stubs_of(real_kernel) if one.stub.action is StubAction.NOTHING]
    assert {one.va in handled for one in nothing} == {not room}
    assert all(one.va in handled for one in stubs_of(real_kernel) if one.stub.action is StubAction.FREE)
    cpu = KernelCpu(machine, real_kernel)
    for one in nothing:
        result = cpu.call(one.stub.function, 5)  # the register of an argument may be the result's
        assert (result.returned, result.result) == (True, 0)


@X86
def test_the_emulator_is_freed_with_the_cpu(real_kernel: Kernel) -> None:
    hvo = KernelHvo(machine_for(real_kernel), real_kernel)
    reference = weakref.ref(hvo.kernel_cpu)
    del hvo
    assert reference() is None


@EACH
def test_the_kernels_static_key_starts_from_the_machines(real_kernel: Kernel) -> None:
    machine = machine_for(real_kernel)
    h, folio = unoptimized(machine)
    hvo = KernelHvo(machine, real_kernel)
    engine = Hvo(machine, release=release_of(real_kernel))
    engine.optimize_folio(h, folio)  # which leaves the kernel's own key at 0
    assert hvo.restore_folio(h, folio) == 0
    assert machine.key == 0
    hvo.optimize_folio(h, folio)
    assert machine.key == engine.variant.counts_folios


@ARM64
def test_flushes_by_instructions_reach_every_cpu_and_emit_the_events_of_the_functions(real_kernel: Kernel) -> None:
    machine = machine_for(real_kernel, cpus=2)
    h, folio = unoptimized(machine)
    tail = folio + machine.target.mode.page_size
    for cpu in machine.cpus:
        cpu.store_word(tail, cpu.load_word(tail))  # fills its TLB with a writable translation
    hvo = KernelHvo(machine, real_kernel)
    events: list[Event] = []
    with machine.trace.listen(events.append):
        hvo.optimize_folio(h, folio)
    assert hvo.folio_optimized(folio)
    size, leaf = machine.target.mode.page_size, machine.target.mode.levels[-2].size
    flushed = [(one.start, one.end) for one in events if isinstance(one, RangeFlushed)]
    block = folio // leaf * leaf
    assert flushed == [(block, block + leaf), (folio, folio + hvo.sizes(h).pages * size)]
    assert [one.delta for one in events if isinstance(one, KeyChanged)] == [1]
    assert hvo.last is not None
    assert hvo.last.findings == ()
    for cpu in machine.cpus:
        with pytest.raises(PageFault):
            cpu.store_word(tail, 0)


@ARM64
@pytest.mark.parametrize("executed", [True, False], ids=["executed", "replaced"])
def test_the_cpu_that_runs_the_code_executes_the_flush_instructions(real_kernel: Kernel, *, executed: bool) -> None:
    machine = machine_for(real_kernel)
    h, folio = unoptimized(machine)
    before = machine.tables.frame_of(folio)
    hvo = KernelHvo(machine, real_kernel)
    for one in hvo.kernel_cpu.inline:
        if not executed and one.stub.function.startswith("tlbi"):
            hvo.kernel_cpu.loaded.replace(one.va, NOP)
    hvo.optimize_folio(h, folio)
    after = machine.tables.frame_of(folio)
    assert after != before
    pa = translate(hvo.kernel_cpu._uc, folio, protection=1)  # it read the head before the head moved
    assert pa is not None
    assert pa >> machine.target.mode.page_shift == (after if executed else before)


@ARM64
def test_flushes_that_no_barrier_completes_are_a_finding(real_kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    without = tuple(one for one in inline_of(real_kernel) if one.stub.action is not StubAction.FLUSHES_DONE)
    monkeypatch.setattr("hvolab_kernel.running.kernel_cpu.inline_of", lambda _: without)
    machine = machine_for(real_kernel)
    hvo = KernelHvo(machine, real_kernel)
    hvo.optimize_folio(*unoptimized(machine))
    assert hvo.last is not None
    assert hvo.last.findings == ("TLB flushes were begun, and no barrier completed them",)
