"""Where the emulator's state has the fields that its interface does not show: found by faults whose outcome is known.

Offsets differ between builds of the library, so none is written down. They are found once in a process for each
family of CPUs: a few accesses that must fault, and what each field must hold after each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from hvolab.arch import Access, FaultKind
from hvolab.machine import MachineSpec, build_machine
from hvolab_unicorn.errors import EmulatorError
from hvolab_unicorn.library import version

if TYPE_CHECKING:
    from hvolab_unicorn.vcpu import VirtualCpu

#: Fields lie at multiples of this.
_STEP = 4
_FOUND: dict[tuple[str, str], Mapping[str, int]] = {}


class _Probe(NamedTuple):
    """An access that must fault: the step, the VA, why."""

    step: str
    access: Access
    va: int
    kind: FaultKind


def calibrate(cpu: VirtualCpu) -> Mapping[str, int]:
    """Offsets in a saved context of the fields of the CPU's family; raises EmulatorError where one is not found."""
    key = (cpu.part.emulator[0], version())
    if key not in _FOUND:
        _FOUND[key] = _find(cpu) if cpu.target.cpu_mode is None else _find_in_the_kernels_mode(cpu)
    return _FOUND[key]


def _find_in_the_kernels_mode(cpu: VirtualCpu) -> Mapping[str, int]:
    """The offsets, found on another machine: accesses that the kernel's mode refuses may be allowed on this one."""
    target = cpu.target
    plain = target.architecture.select(target.mode.name, features=target.features)
    machine = build_machine(plain, MachineSpec(memory=cpu.memory.size, deferred_struct_pages=True))
    return type(cpu)(machine, 0).offsets


def _find(cpu: VirtualCpu) -> Mapping[str, int]:
    probes = _probes(cpu)
    clean = cpu.state()
    blobs = [cpu.probe(probe.step, probe.va, last=probe is probes[-1]) for probe in probes]
    # a field keeps what it had where an access does not fault; a register that had the same VA does not
    unchanged = cpu.probe_without_fault(cpu.area.block)
    found = {}
    for field in cpu.family.fields:
        if field.tells:
            expected = [_told(cpu, probe, field.tells) for probe in probes]
            samples = [*zip(blobs, expected, strict=True), (unchanged, expected[-1])]
        else:
            samples = [*((blob, field.faulted) for blob in blobs), (clean, field.clean)]
        hits = set(range(0, len(clean) - field.size + 1, _STEP))
        for blob, value in samples:
            sought = value.to_bytes(field.size, "little")
            hits = {at for at in hits if blob[at : at + field.size] == sought}
        if len(hits) != 1:
            raise EmulatorError(
                f"{len(hits)} places in the emulator's state look like {field.name}",
                where=f"unicorn {version()}, {cpu.part.emulator[0]}, at {sorted(hits)}",
                hint="use a release that hvolab was tried with: unicorn>=2.1,<2.2",
            )
        found[field.name] = hits.pop()
    return found


def _probes(cpu: VirtualCpu) -> list[_Probe]:
    """Accesses to VAs that nothing maps, a store to the text, a jump into the direct map: nothing is changed."""
    area = cpu.area
    nowhere = area.text_va + 4 * area.text_bytes  # the same table maps it
    return [
        _Probe("load", Access.READ, nowhere + 0x120, FaultKind.TRANSLATION),
        _Probe("store", Access.WRITE, nowhere + 0x258, FaultKind.TRANSLATION),
        _Probe("store", Access.WRITE, area.text_va + 0x18, FaultKind.PERMISSION),
        _Probe("jump", Access.EXECUTE, area.block, FaultKind.PERMISSION),
        _Probe("load", Access.READ, nowhere + 0x7F0, FaultKind.TRANSLATION),
    ]


def _told(cpu: VirtualCpu, probe: _Probe, register: str) -> int:
    """What the architecture's syndrome says of a probe."""
    target, tables = cpu.target, cpu.tables
    depth, _, _ = tables.descend(probe.va)
    syndrome = target.mmu.syndrome(probe.kind, probe.access, probe.va, len(target.mode.levels) - 1 - depth)
    return dict(syndrome)[register]
