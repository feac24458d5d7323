# SPDX-License-Identifier: GPL-2.0-only
"""The engine on single folios and batches, as a caller sees it."""

from __future__ import annotations

from hvolab.hvo import Hvo
from hvolab.machine import MachineSpec, build_machine
from hvolab.release.releases import V6_12
from hvolab.trace import Batch, FolioStep, Warned
from tests.folios import Hstate, frames_of, is_optimized, listed, new_folio, new_list
from tests.machines import MIB, x86_64

H = Hstate(9)


def built(folios: int = 1) -> tuple[Hvo, list[int]]:
    """An engine, and folios that are not optimized."""
    machine = build_machine(x86_64(), MachineSpec(memory=256 * MIB))
    return Hvo(machine), [new_folio(machine, H.order) for _ in range(folios)]


def test_a_folio_is_optimized_once_and_restored() -> None:
    hvo, [folio] = built()
    machine, before = hvo.machine, frames_of(hvo.machine, folio, H.order)
    assert (hvo.release, hvo.cpu) == (V6_12, machine.cpus[0])
    assert hvo.should_optimize_folio(H, folio)
    hvo.optimize_folio(H, folio)
    assert hvo.folio_optimized(folio)
    assert not hvo.should_optimize_folio(H, folio)
    assert set(frames_of(machine, folio, H.order).tolist()).isdisjoint(before.tolist())
    assert machine.key == 1
    hvo.optimize_folio(H, folio)
    assert machine.key == 1
    assert hvo.restore_folio(H, folio) == 0
    assert not is_optimized(machine, folio)
    assert len(set(frames_of(machine, folio, H.order).tolist())) == 8
    assert machine.key == 0


def test_a_batch_moves_restored_folios_to_the_other_list() -> None:
    hvo, folios = built(3)
    machine = hvo.machine
    hvo.optimize_folios(H, new_list(machine, folios[:2]))
    everything, restored = new_list(machine, folios), new_list(machine)
    assert hvo.restore_folios(H, everything, restored) == 2
    assert listed(machine, everything) == []
    assert sorted(listed(machine, restored)) == sorted(folios)


def test_steps_and_batches_are_events() -> None:
    hvo, [folio] = built()
    with hvo.machine.trace.record() as events:
        hvo.optimize_folios(H, new_list(hvo.machine, [folio]))
    steps = [event.step for event in events if isinstance(event, Batch | FolioStep)]
    assert steps == ["optimize.begin", "optimize.begin", "optimize.end", "optimize.end"]
    assert not any(isinstance(event, Warned) for event in events)


def test_a_folio_with_references_or_without_type_is_a_warning() -> None:
    hvo, [folio] = built()
    layout = hvo.machine.struct_pages.layout
    hvo.cpu.store(folio + layout.refcount, (2).to_bytes(4, "little"))
    hvo.cpu.store(folio + layout.page_type, bytes(4))
    with hvo.machine.trace.record() as events:
        hvo.optimize_folio(H, folio)
    assert [event.text for event in events if isinstance(event, Warned)] == [
        "the folio has no hugetlb type",
        "the folio has 2 references",
    ]
