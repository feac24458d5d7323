# SPDX-License-Identifier: GPL-2.0-only
"""Runs of folios: the same bytes, frames and counters as folio by folio."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hvolab.arch import Target
from hvolab.hvo import Hvo
from hvolab.hvo.runs import FolioRuns, Folios
from hvolab.machine import MachineSpec, VmemmapBacking
from hvolab.machine.frames.failure import FailCalls, FailFrom, FailurePolicy, NeverFail
from hvolab.machine.struct_pages import lists
from hvolab.plugin import registry
from tests.machines import MIB, Pools, pools, same_bytes, x86_64

_SPEC = MachineSpec(memory=256 * MIB)
_TARGETS = [
    x86_64(),
    registry().architecture("riscv").select("Sv39"),
    registry().architecture("arm64").select("4K-48bit"),
]


def check_side_by_side(
    together: Pools, apart: Pools, failures: tuple[FailurePolicy, FailurePolicy] | None = None
) -> None:
    """Grow, shrink and grow a pool of 2 MiB folios on both; every byte agrees after each step."""
    for count in (70, 20, 90, 0):
        for position, lab in enumerate((together, apart)):
            if failures is not None and count == 20:
                lab.frames.failure = failures[position]
            next(pool for pool in lab.pools if pool.h.size == 2 * MIB).set_max_huge_pages(count)
            lab.frames.failure = NeverFail()
            assert not lab.findings()
        assert same_bytes(together.machine, apart.machine)


def single_steps(target: Target, spec: MachineSpec) -> Pools:
    """A machine on which somebody listens, so that everything goes folio by folio."""
    lab = pools(spec, target)
    lab.machine.trace.listeners.append(lambda _: None)
    return lab


@pytest.mark.slow
@pytest.mark.parametrize("target", _TARGETS, ids=lambda target: target.architecture.name)
@pytest.mark.parametrize("backing", list(VmemmapBacking))
def test_a_run_leaves_what_folio_by_folio_leaves(
    target: Target, backing: VmemmapBacking, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = {"optimize": 0, "restore": 0}
    for step in taken:
        whole = getattr(FolioRuns, step)

        def counted(runs: FolioRuns, *args: object, step: str = step, whole: object = whole, **more: object) -> int:
            done: int = whole(runs, *args, **more)  # type: ignore[operator]
            taken[step] += bool(done)
            return done

        monkeypatch.setattr(FolioRuns, step, counted)
    spec = replace(_SPEC, vmemmap=backing)
    together, apart = pools(spec, target), single_steps(target, spec)
    check_side_by_side(together, apart)
    assert together.machine.counters == apart.machine.counters
    assert together.machine.grace_periods == apart.machine.grace_periods
    assert together.frames.free_frames == apart.frames.free_frames
    if backing is not VmemmapBacking.SELF_HOSTED:
        assert taken["optimize"] >= 2
        assert taken["restore"] >= 2


@pytest.mark.slow
def test_with_a_failure_armed_it_goes_folio_by_folio() -> None:
    together, apart = pools(_SPEC), single_steps(x86_64(), _SPEC)
    check_side_by_side(together, apart, (FailCalls(frozenset({9})), FailCalls(frozenset({9}))))
    together, apart = pools(_SPEC), single_steps(x86_64(), _SPEC)
    check_side_by_side(together, apart, (FailFrom(30), FailFrom(30)))


def vas(*folios: int) -> Folios:
    return np.array(folios, dtype=np.uint64)


def test_one_folio_of_each_table_is_split_and_each_that_has_several() -> None:
    runs = Hvo(pools(_SPEC).machine)._runs
    unit = 2 * MIB
    folios = vas(unit, unit + 0x8000, 3 * unit, unit + 0x10000)
    assert runs.to_split(folios, 0x8000) == folios[[0, 2, 3]].tolist()
    assert runs.to_split(vas(unit, 2 * unit - 0x8000), 0x10000) == [unit, 2 * unit - 0x8000]
    assert runs.to_split(vas(0, 8 * unit), 8 * unit) == [0, 8 * unit]
    assert runs.to_split(vas(), 0x8000) == []


def test_folios_are_cut_into_what_is_done_at_once_and_single_ones() -> None:
    sizes = []

    def at_once(folios: Folios) -> int:
        """Do runs of even numbers."""
        sizes.append(folios.size)
        odd = np.flatnonzero(folios & np.uint64(1))
        return int(odd[0]) if odd.size else folios.size

    folios = np.concatenate((np.arange(0, 5000, 2), np.array([1, 3, 5]), np.arange(0, 6, 2))).astype(np.uint64)
    found = [(run.tolist(), done) for run, done in FolioRuns.cut(folios, at_once)]
    assert [folio for run, _ in found for folio in run] == folios.tolist()
    assert [len(run) for run, _ in found] == [1024, 1024, 452, 1, 1, 1, 3]
    assert all(done is not any(folio & 1 for folio in run) for run, done in found)
    assert sizes == [1024, 1024, 458, 6, 5, 4, 3]
    assert list(FolioRuns.cut(vas(), at_once)) == []


def test_a_run_ends_at_a_folio_that_differs() -> None:
    """Of a list, some folios are optimized: restoring leaves the rest, and optimizing passes over these."""
    together, apart = pools(_SPEC), single_steps(x86_64(), _SPEC)
    for lab in (together, apart):
        pool = next(pool for pool in lab.pools if pool.h.size == 2 * MIB)
        pool.set_max_huge_pages(40)
        hvo, machine = Hvo(lab.machine), lab.machine
        for folio in sorted(pool.live)[10:30:7]:
            assert hvo.restore_folio(pool.h, folio) == 0
        node = machine.struct_pages.layout.lru_next
        heads = [machine.kernel_data(lists.SIZE) for _ in range(2)]
        for head in heads:
            lists.init(hvo.cpu, head)
        for folio in sorted(pool.live):
            lists.move(hvo.cpu, folio + node, heads[0])
        assert hvo.restore_folios(pool.h, *heads) == 37
        for folio in sorted(pool.live)[3:30:5]:
            hvo.optimize_folio(pool.h, folio)
        hvo.optimize_folios(pool.h, heads[1])
        assert machine.key == 40
    assert same_bytes(together.machine, apart.machine)
    assert together.machine.counters == apart.machine.counters
