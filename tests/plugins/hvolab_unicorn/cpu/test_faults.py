# SPDX-License-Identifier: GPL-2.0-only
"""Faults of an emulated CPU: the records that the model predicts, by both ways, in every mode."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from hvolab.arch import Access, FaultKind, PageFault, PgprotRole
from hvolab.errors import AbsentMemoryError
from hvolab.machine import Cpu, Machine, MachineSpec
from hvolab_unicorn.cpu.emulated_cpu import EmulatedCpu
from tests.plugins.hvolab_unicorn.twins import MIB, MODES, Twins, emulable, pages, target_of, twins

Act = Callable[[Cpu, int], object]
LOAD: Act = lambda cpu, va: cpu.load_word(va)  # noqa: E731
STORE: Act = lambda cpu, va: cpu.store_word(va, 1)  # noqa: E731
SWAP: Act = lambda cpu, va: cpu.compare_and_swap(va, 1, 2)  # noqa: E731
BYTES: Act = lambda cpu, va: cpu.store(va + 3, b"sixteen bytes it")  # noqa: E731


def fault(cpu: Cpu, act: Act, va: int) -> PageFault:
    with pytest.raises(PageFault) as caught:
        act(cpu, va)
    return caught.value


def swap(old: int, cpu: Cpu, va: int) -> int:
    return cpu.compare_and_swap(va, old, 2)


def tail(machine: Machine, change: Callable[[Machine, int], int], pfn: int | None = None) -> int:
    """VA in the kernel's image, beyond the text, that a changed entry maps to ``pfn``, or to a frame of its own."""
    guest, mode = machine.guest, machine.target.mode
    assert guest is not None
    va = guest.text_va + 32 * mode.page_size
    if pfn is None:
        pfn = (pages(machine, 1)[0] - machine.virt(0)) >> mode.page_shift
    machine.memory.write_word(machine.tables.find(va).slot, change(machine, pfn))
    for cpu in machine.cpus:
        cpu.flush_range(va, va + mode.page_size)
    return va


def entry(role: PgprotRole) -> Callable[[Machine, int], int]:
    return lambda machine, pfn: machine.target.leaf(machine.target.mode.last.name, pfn, role)


def unmapped(machine: Machine) -> int:
    guest = machine.guest
    assert guest is not None
    return guest.text_va + 40 * machine.target.mode.page_size


@pytest.fixture(params=["read off the emulator", "recorded by a handler"], scope="module")
def handler(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "recorded by a handler")


@pytest.fixture(params=MODES, scope="module")
def pair(request: pytest.FixtureRequest, handler: bool) -> Twins:  # noqa: FBT001
    return twins(target_of(request.param, "strict"), MachineSpec(memory=64 * MIB), handler=handler)


CASES: dict[str, tuple[Act, Callable[[Machine], int]]] = {
    "a load where nothing is mapped": (LOAD, lambda machine: unmapped(machine) + 8),
    "a store where nothing is mapped": (STORE, lambda machine: unmapped(machine) + 16),
    "bytes where nothing is mapped": (BYTES, unmapped),
    "a swap where nothing is mapped": (SWAP, lambda machine: unmapped(machine) + 24),
    "a store to a read-only page": (STORE, lambda machine: tail(machine, entry(PgprotRole.KERNEL_RO)) + 8),
    "bytes to a read-only page": (BYTES, lambda machine: tail(machine, entry(PgprotRole.KERNEL_RO))),
    "a store to the text": (STORE, lambda machine: machine.guest.text_va if machine.guest else 0),
    "a load beyond all memory": (LOAD, lambda machine: machine.virt(machine.memory.base + machine.memory.size)),
}


def records(
    pair: Twins, predicted: Act, tried: Act, where: Callable[[Machine], int]
) -> tuple[dict[str, Any], dict[str, Any]]:
    found = []
    for machine, act in ((pair.model, predicted), (pair.emulated, tried)):
        record = fault(machine.cpus[0], act, where(machine)).fault
        told = dict(record.syndrome)
        told.pop("sepc", None)  # the model has no program counter
        found.append({**vars_of(record), "syndrome": told})
    return found[0], found[1]


def vars_of(record: Any) -> dict[str, Any]:
    return {name: getattr(record, name) for name in ("kind", "access", "va", "level", "raw", "cpu")}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_fault_is_the_one_that_the_model_predicts(pair: Twins, case: tuple[Act, Callable[[Machine], int]]) -> None:
    act, where = case
    if act is SWAP and pair.model.target.architecture.name == "x86_64":
        act = LOAD  # declared: unicorn's locked operation loads first
        assert any("locked" in told for told in pair.cpus[0].vcpu.part.differences(pair.model.target))
    for _ in range(3):  # the second of two faults is where emulators go wrong
        predicted, found = records(pair, act, case[0], where)
        assert found == predicted
    pair.assert_same()


PLACES: dict[str, Callable[[Machine], int]] = {
    "of a page": lambda machine: pages(machine, 1)[0],
    "over two pages": lambda machine: pages(machine, 2)[1] - 8,
    "of a read-only page": lambda machine: tail(machine, entry(PgprotRole.KERNEL_RO)),
    "where nothing is mapped": unmapped,
}


@pytest.mark.parametrize("where", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("name", ["compare_and_swap", "exchange_entry"])
def test_an_unaligned_swap_is_an_alignment_fault_where_the_architecture_says_so(
    pair: Twins, name: str, where: Callable[[Machine], int]
) -> None:
    def unaligned(cpu: Cpu, va: int) -> object:
        return getattr(cpu, name)(va + 4, 1, 2)

    if pair.model.target.mmu.aligned_atomics:
        for _ in range(2):
            predicted, found = records(pair, unaligned, unaligned, where)
            assert found == predicted
            assert found["kind"] is FaultKind.ALIGNMENT
            status = {"esr": 0x96000021, "scause": 4}
            assert any(found["syndrome"].get(register) == value for register, value in status.items())
    else:  # as bytes: x86_64 locks the bus
        va = pages(pair.emulated, 2)[0] + pair.emulated.target.mode.page_size - 4
        cpu = pair.emulated.cpus[0]
        old = int.from_bytes(cpu.load(va, 8), "little")
        assert getattr(cpu, name)(va, old, 7) == old
        assert int.from_bytes(cpu.load(va, 8), "little") == 7


def test_an_unaligned_word_faults_at_the_second_page_and_stores_nothing_in_the_first(pair: Twins) -> None:
    machine, cpu = pair.emulated, pair.emulated.cpus[0]
    page = tail(machine, entry(PgprotRole.KERNEL))
    second = page + machine.target.mode.page_size  # nothing is mapped there
    before = cpu.load(page, machine.target.mode.page_size)
    for act in (LOAD, STORE):
        record = fault(cpu, act, second - 4).fault
        assert (record.kind, record.va) == (FaultKind.TRANSLATION, second)
    assert cpu.load(page, machine.target.mode.page_size) == before


@pytest.mark.parametrize("mode", ["arm64-4K-48bit", "arm64-64K-48bit"])
def test_a_clear_accessed_flag_is_told_before_the_permission_and_reserved_bits_are_not(mode: str) -> None:
    both = twins(target_of(mode))
    accessed, ignored = 1 << 10, 1 << 50

    def read_only(machine: Machine, pfn: int) -> int:
        return entry(PgprotRole.KERNEL_RO)(machine, pfn) & ~accessed | ignored

    predicted, found = records(both, STORE, STORE, lambda machine: tail(machine, read_only) + 8)
    assert found == predicted
    assert found["kind"] is FaultKind.ACCESS_FLAG


def test_a_failing_swap_of_a_read_only_page_faults_where_the_architecture_says_so(pair: Twins) -> None:
    needs_write = pair.model.target.traits.compare_and_swap_needs_write
    for machine in (pair.model, pair.emulated):
        va = tail(machine, entry(PgprotRole.KERNEL_RO))
        there = machine.cpus[0].load_word(va)
        if needs_write:
            record = fault(machine.cpus[0], partial(swap, there + 1), va).fault
            assert record.access & Access.WRITE
            assert record.kind is FaultKind.PERMISSION
        else:
            assert machine.cpus[0].compare_and_swap(va, there + 1, 2) == there
        record = fault(machine.cpus[0], partial(swap, there), va).fault
        assert record.kind is FaultKind.PERMISSION


def test_a_fetch_from_the_vmemmap_faults_and_one_from_the_text_does_not(pair: Twins) -> None:
    machine, cpu = pair.emulated, pair.cpus[0]
    va = machine.struct_pages.va(machine.memory.first_pfn + 5)
    for _ in range(2):
        with pytest.raises(PageFault) as caught:
            cpu.fetch(va)
        record = caught.value.fault
        assert (record.kind, record.access, record.va) == (FaultKind.PERMISSION, Access.EXECUTE, va)
        depth = [level.name for level in machine.target.mode.levels].index(record.level)
        below = len(machine.target.mode.levels) - 1 - depth
        told = dict(machine.target.mmu.syndrome(record.kind, Access.EXECUTE, va, below))
        assert told.items() <= dict(record.syndrome).items()
    assert machine.guest is not None
    cpu.fetch(cpu.vcpu.routines["load"].begin)


def test_a_store_across_pages_stores_nothing_where_the_second_faults(pair: Twins) -> None:
    found = []
    for machine in (pair.model, pair.emulated):
        guest, size = machine.guest, machine.target.mode.page_size
        assert guest is not None
        va = tail(machine, entry(PgprotRole.KERNEL))
        before = machine.cpus[0].load(va, size)
        record = fault(machine.cpus[0], BYTES, va + size - 8).fault
        assert machine.cpus[0].load(va, size) == before
        assert record.va == va + size
        found.append(vars_of(record))
    assert found[0] == found[1]


def test_memory_that_is_not_there_is_a_clear_error(pair: Twins) -> None:
    for machine in (pair.model, pair.emulated):
        beyond = (machine.memory.base + machine.memory.size) >> machine.memory.page_shift
        va = tail(machine, entry(PgprotRole.KERNEL), beyond)
        pa = beyond << machine.memory.page_shift
        for act, inside in ((LOAD, 0), (STORE, 0), (BYTES, 3)):
            with pytest.raises(AbsentMemoryError, match=f"no memory at PA {pa + inside:#x}"):
                act(machine.cpus[0], va)
        assert machine.cpus[0].load_word(machine.virt(machine.memory.base)) == 0


def test_a_table_where_there_is_no_memory_is_a_fault(pair: Twins) -> None:
    """The model tells that the memory is absent, an emulator that nothing is mapped: neither crashes."""
    for machine in (pair.model, pair.emulated):
        mode, guest = machine.target.mode, machine.guest
        assert guest is not None
        middle = mode.levels[-2]
        va = guest.text_va + 3 * middle.size
        walk = machine.tables.walk(va)
        assert walk[-1].level is middle
        beyond = (machine.memory.base + machine.memory.size) >> machine.memory.page_shift
        machine.memory.write_word(walk[-1].slot, machine.target.table(middle.name, beyond))
        machine.cpus[0].flush_all()
        record = fault(machine.cpus[0], LOAD, va).fault
        assert record.va == va
        assert record.kind in {FaultKind.ABSENT, FaultKind.TRANSLATION}


@pytest.mark.parametrize("mode", emulable("arm64"))
def test_the_guest_finds_the_same_by_at_and_par(mode: str) -> None:
    """Arm ARM, AT S1E1W and PAR_EL1: what is read out of the emulator's state is what the guest itself is told."""
    pair = twins(target_of(mode), MachineSpec(memory=64 * MIB))
    for where, code in (
        (tail(pair.emulated, entry(PgprotRole.KERNEL_RO)), "207808d5df3f03d5017438d5c0035fd6"),
        (unmapped(pair.emulated), "207808d5df3f03d5017438d5c0035fd6"),
    ):
        esr = dict(fault(pair.cpus[0], STORE, where).fault.syndrome)["esr"]
        par = translated(pair.cpus[0], where, bytes.fromhex(code))
        assert par & 1
        assert par >> 1 & 0x3F == esr & 0x3F


def translated(cpu: EmulatedCpu, va: int, code: bytes) -> int:
    """PAR_EL1 after `at s1e1w, x0; isb; mrs x1, par_el1`, run in guest text that nothing else uses."""
    vcpu = cpu.vcpu
    free = vcpu.area.text_va + vcpu.area.text_bytes - 64
    pa = (vcpu.tables.frame_of(free) or 0) << vcpu.memory.page_shift | free & vcpu.target.mode.page_size - 1
    vcpu.memory.view(pa, len(code))[:] = list(code)
    vcpu.uc.reg_write(vcpu.register("X0"), va)
    vcpu.uc.emu_start(free, free + 12)
    return int(vcpu.uc.reg_read(vcpu.register("X1")))
