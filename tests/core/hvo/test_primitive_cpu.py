# SPDX-License-Identifier: GPL-2.0-only
"""HVO on a CPU without bulk operations: the kernels' calls, entries and bytes, and no memory read past the CPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from hvolab.arch import Target
from hvolab.hvo import Hvo
from hvolab.machine import Machine, MachineSpec, VmemmapBacking, build_machine
from hvolab.machine.frames.failure import FailCalls, NeverFail
from hvolab.plugin import registry
from hvolab.release import RELEASES, KernelRelease
from tests.core.hvo import test_kernel_writes as writes
from tests.core.hvo.test_kernel_traces import DEBIANS, TRACES, departures_of, report
from tests.folios import Hstate, allocator, listed, new_folio, new_list
from tests.machines import same_bytes
from tests.primitive_cpu import primitive_cpu

VARIANTS = tuple(release for release in RELEASES if release.anywhere)
#: Architectures, one of them also with its way to replace live entries one at a time.
TARGETS = ("x86_64", "arm64", "arm64, mm-2026", "riscv")


def target_of(name: str) -> Target:
    architecture, _, release = name.partition(", ")
    return registry().architecture(architecture).select(release=release or None)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*TRACES, *DEBIANS])
def test_some_runs_of_a_kernel(name: str) -> None:
    departures = departures_of(name, primitive_cpu, every=40)
    assert not departures, report(departures)


@pytest.mark.long
@pytest.mark.parametrize("name", [*TRACES, *DEBIANS])
def test_every_run_of_a_kernel(name: str) -> None:
    departures = departures_of(name, primitive_cpu)
    assert not departures, report(departures)


@pytest.mark.parametrize("name", TRACES)
def test_every_write_of_a_kernel_in_its_place(name: str) -> None:
    departures = writes.departures_of(name, primitive_cpu)
    assert not departures, "\n".join(departures)


def steps(machine: Machine, hvo: Hvo, order: int) -> Iterator[Any]:
    """What is done to machines that are compared: each step's result."""
    h, folios = Hstate(order), [new_folio(machine, order) for _ in range(5)]
    hvo.optimize_folio(h, folios[1])
    yield hvo.folio_optimized(folios[1])
    yield hvo.restore_folio(h, folios[1])
    allocator(machine).failure = FailCalls(frozenset({3}))
    hvo.optimize_folios(h, new_list(machine, folios[:3]))
    yield [hvo.folio_optimized(folio) for folio in folios]
    allocator(machine).failure = NeverFail()
    again = [folio for folio in folios if hvo.variant.refuses_optimized or not hvo.folio_optimized(folio)]
    hvo.optimize_folios(h, new_list(machine, again))
    yield [hvo.folio_optimized(folio) for folio in folios]
    allocator(machine).failure = FailCalls(frozenset({12}))
    head, other = new_list(machine, folios), new_list(machine)
    yield hvo.restore_folios(h, head, other)
    yield listed(machine, head), listed(machine, other)
    allocator(machine).failure = NeverFail()
    yield hvo.restore_folios(h, head, other)


@pytest.mark.parametrize("backing", [VmemmapBacking.BOOT, VmemmapBacking.BUDDY])
@pytest.mark.parametrize("release", VARIANTS, ids=[release.name for release in VARIANTS])
@pytest.mark.parametrize("name", TARGETS)
def test_it_leaves_the_bytes_that_runs_at_once_leave(
    name: str, release: KernelRelease, backing: VmemmapBacking
) -> None:
    target = target_of(name)
    order = target.mode.levels[-2].shift - target.mode.page_shift
    ours, theirs = (build_machine(target, MachineSpec(memory=64 << 20, vmemmap=backing)) for _ in range(2))
    theirs.cpus[0] = primitive_cpu(theirs, 0)
    both = (steps(machine, Hvo(machine, release=release), order) for machine in (ours, theirs))
    for own, stepwise in zip(*both, strict=True):
        assert own == stepwise
        assert same_bytes(ours, theirs)
        assert (ours.key, ours.counters) == (theirs.key, theirs.counters)


class Gate:
    """Lets memory be read while an operation of the CPU, or a service of the machine, is carried out."""

    def __init__(self, machine: Machine) -> None:
        self.open = 0
        self.operations: list[str] = []
        memory = machine.memory
        for name in ("words", "halves", "octets", "pages", "entries", "scalar", "half_scalar", "entry_scalar"):
            setattr(memory, name, GuardedWords(getattr(memory, name), self))
        machine.records = GatedRecords(machine.records, self)
        vars(machine)["free_checker"] = GatedRecords(machine.free_checker, self)

    @contextmanager
    def through(self, operation: str) -> Iterator[None]:
        """Open the gate for one operation."""
        self.operations.append(operation)
        self.open += 1
        try:
            yield
        finally:
            self.open -= 1


class GuardedWords:
    """An array that is read only through the gate."""

    def __init__(self, array: Any, gate: Gate) -> None:
        self._array, self._gate = array, gate

    def __getitem__(self, index: Any) -> Any:
        assert self._gate.open, f"memory was read past the CPU: {index}"
        return self._array[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        self._array[index] = value

    def __getattr__(self, name: str) -> Any:
        return getattr(self._array, name)


class GatedRecords:
    """Flags of struct pages, which the machine keeps, and their checks when they are freed."""

    def __init__(self, records: Any, gate: Gate) -> None:
        self._records, self._gate = records, gate

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._records, name)

        def service(*arguments: Any, **options: Any) -> Any:
            with self._gate.through(f"records.{name}"):
                return method(*arguments, **options)

        return service


@pytest.mark.parametrize("release", VARIANTS, ids=[release.name for release in VARIANTS])
@pytest.mark.parametrize("name", TARGETS)
def test_no_memory_is_read_past_the_cpu(name: str, release: KernelRelease) -> None:
    target = target_of(name)
    order = target.mode.levels[-2].shift - target.mode.page_shift
    machine = build_machine(target, MachineSpec(memory=64 << 20, vmemmap=VmemmapBacking.BUDDY))
    folios = [new_folio(machine, order) for _ in range(3)]
    lists = [new_list(machine, folios), new_list(machine)]
    gate = Gate(machine)
    machine.cpus[0] = primitive_cpu(machine, 0, gate.through)
    h, hvo = Hstate(order), Hvo(machine, release=release)
    hvo.optimize_folio(h, folios[0])
    assert hvo.folio_optimized(folios[0])
    assert hvo.restore_folio(h, folios[0]) == 0
    hvo.optimize_folios(h, lists[0])
    assert hvo.restore_folios(h, *lists) == 3
    table = {"load_word", "read_entry", "write_entry", "flush_range", "copy_page", "barrier"}
    assert table <= set(gate.operations)
    with pytest.raises(AssertionError, match="past the CPU"):
        machine.tables.find(folios[0])
