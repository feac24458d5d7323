"""Search for the fields of the emulator's state that its interface does not show.

Their offsets differ between builds of the library. They are found once in a process for each family of CPUs: by a few
accesses that must fault, and the value that each field must hold after each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from hvolab.arch import Access, EmulationPart, FaultKind, Target
from hvolab.machine import Machine, MachineSpec, PageTables, PhysicalMemory, build_machine
from hvolab_unicorn.emulator.errors import EmulatorError
from hvolab_unicorn.emulator.library import version
from hvolab_unicorn.families import Family
from hvolab_unicorn.guest.area import Area

#: Fields are at multiples of this offset.
_STEP = 4
_FOUND: dict[tuple[str, str], Mapping[str, int]] = {}


class ProbedCpu(Protocol):
    """CPU that makes single accesses, and saves the emulator's state after each."""

    memory: PhysicalMemory
    tables: PageTables
    target: Target
    part: EmulationPart
    area: Area
    family: Family

    def state(self) -> bytes:
        """Return the emulator's state."""
        ...

    def probe(self, step: str, va: int) -> bytes:
        """Return the state after an access that must fault."""
        ...

    def probe_without_fault(self, va: int) -> bytes:
        """Return the state after a load that does not fault and follows one that did."""
        ...


class _Probe(NamedTuple):
    """An access that must fault: step, access, VA and cause."""

    step: str
    access: Access
    va: int
    kind: FaultKind


def calibrate(cpu: ProbedCpu, build: Callable[[Machine], ProbedCpu]) -> Mapping[str, int]:
    """Return the offset in a saved context of each field of the CPU's family.

    build  makes a CPU of the same kind on another machine, which calibrates itself: accesses that the kernel's mode
           of the CPU refuses may be allowed in the mode of this one
    Raises EmulatorError for a field that is not found, or found more than once.
    """
    key = (cpu.part.emulator[0], version())
    target = cpu.target
    if key not in _FOUND and target.cpu_mode is not None:
        plain = target.architecture.select(target.mode.name, features=target.features)
        build(build_machine(plain, MachineSpec(memory=cpu.memory.size, deferred_struct_pages=True)))
    if key not in _FOUND:
        _FOUND[key] = _find(cpu)
    return _FOUND[key]


def _find(cpu: ProbedCpu) -> Mapping[str, int]:
    probes = _probes(cpu)
    clean = cpu.state()
    states = [cpu.probe(probe.step, probe.va) for probe in probes]
    # an access without a fault changes a register that had the VA of the last fault, and leaves the field
    unchanged = cpu.probe_without_fault(cpu.area.block)
    found = {}
    for field in cpu.family.fields:
        if field.register:
            expected = [_reported(cpu, probe, field.register) for probe in probes]
            samples = [*zip(states, expected, strict=True), (unchanged, expected[-1])]
        else:
            samples = [*((state, field.faulted) for state in states), (clean, field.clean)]
        offsets = set(range(0, len(clean) - field.size + 1, _STEP))
        for state, value in samples:
            data = value.to_bytes(field.size, "little")
            offsets = {at for at in offsets if state[at : at + field.size] == data}
        if len(offsets) != 1:
            raise EmulatorError(
                f"the emulator's state has {len(offsets)} candidates for the field {field.name}",
                where=f"unicorn {version()}, {cpu.part.emulator[0]}, at {sorted(offsets)}",
                hint="install a release that hvolab was tried with: unicorn>=2.1,<2.2",
            )
        found[field.name] = offsets.pop()
    return found


def _probes(cpu: ProbedCpu) -> list[_Probe]:
    """Return accesses that change nothing: to unmapped VAs, a store to the text, a jump into the direct map."""
    area = cpu.area
    unmapped = area.text_va + 4 * area.text_bytes  # in a table that exists
    return [
        _Probe("load", Access.READ, unmapped + 0x120, FaultKind.TRANSLATION),
        _Probe("store", Access.WRITE, unmapped + 0x258, FaultKind.TRANSLATION),
        _Probe("store", Access.WRITE, area.text_va + 0x18, FaultKind.PERMISSION),
        _Probe("jump", Access.EXECUTE, area.block, FaultKind.PERMISSION),
        _Probe("load", Access.READ, unmapped + 0x7F0, FaultKind.TRANSLATION),
    ]


def _reported(cpu: ProbedCpu, probe: _Probe, register: str) -> int:
    """Return the value of a register of the syndrome that the architecture has for a probe."""
    target, tables = cpu.target, cpu.tables
    depth, _, _ = tables.descend(probe.va)
    syndrome = target.mmu.syndrome(probe.kind, probe.access, probe.va, len(target.mode.levels) - 1 - depth)
    return dict(syndrome)[register]
