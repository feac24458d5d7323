# SPDX-License-Identifier: GPL-2.0-only
"""Search for the fields of the emulator's state that its interface does not show.

Their offsets differ between builds of the library. They are found once in a process for each family of CPUs: by a few
accesses that must fault, and the value that each field must hold after each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hvolab.arch import Access, FaultKind
from hvolab.machine import PageTables
from hvolab_unicorn.emulator.errors import EmulatorError
from hvolab_unicorn.emulator.library import HINT, version
from hvolab_unicorn.families import Family
from hvolab_unicorn.guest.area import Area

#: Fields are at multiples of this offset.
_STEP = 4


class Probe(NamedTuple):
    """An access that must fault: step, access, VA and cause."""

    step: str
    access: Access
    va: int
    kind: FaultKind


def probes_of(area: Area) -> list[Probe]:
    """Return accesses that change nothing: to unmapped VAs, a store to the text, a jump into the direct map."""
    unmapped = area.text_va + 4 * area.text_bytes  # in a table that exists
    return [
        Probe("load", Access.READ, unmapped + 0x120, FaultKind.TRANSLATION),
        Probe("store", Access.WRITE, unmapped + 0x258, FaultKind.TRANSLATION),
        Probe("store", Access.WRITE, area.text_va + 0x18, FaultKind.PERMISSION),
        Probe("jump", Access.EXECUTE, area.block, FaultKind.PERMISSION),
        Probe("load", Access.READ, unmapped + 0x7F0, FaultKind.TRANSLATION),
    ]


def find_fields(
    family: Family, tables: PageTables, probes: Mapping[Probe, bytes], clean: bytes, unchanged: bytes
) -> Mapping[str, int]:
    """Return the offset of each field of the family in a saved context.

    probes     the state after each access
    clean      the state before them
    unchanged  the state after a load that follows the last of them and does not fault: a register that had the VA of
               the last fault has changed, the field has not
    Raises EmulatorError for a field that is not found, or found more than once.
    """
    found = {}
    for field in family.fields:
        if field.register:
            expected = [_reported(tables, probe, field.register) for probe in probes]
            samples = [*zip(probes.values(), expected, strict=True), (unchanged, expected[-1])]
        else:
            samples = [*((state, field.faulted) for state in probes.values()), (clean, field.clean)]
        offsets: Sequence[int] = range(0, len(clean) - field.size + 1, _STEP)
        for state, value in samples:
            data = value.to_bytes(field.size, "little")
            offsets = [at for at in offsets if state[at : at + field.size] == data]
        if len(offsets) != 1:
            raise EmulatorError(
                f"the emulator's state has {len(offsets)} candidates for the field {field.name}",
                where=f"unicorn {version()}, {family.architecture}, at {offsets}",
                hint=f"install a release that hvolab was tried with: {HINT}",
            )
        found[field.name] = offsets[0]
    return found


def _reported(tables: PageTables, probe: Probe, register: str) -> int:
    """Return the value of a register of the syndrome that the architecture has for a probe."""
    target = tables.target
    depth, _, _ = tables.descend(probe.va)
    syndrome = target.mmu.syndrome(probe.kind, probe.access, probe.va, len(target.mode.levels) - 1 - depth)
    return dict(syndrome)[register]
