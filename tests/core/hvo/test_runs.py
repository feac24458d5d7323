"""Runs of folios: the same bytes, frames and counters as folio by folio."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hvolab.arch import Target
from hvolab.hvo import Hvo
from hvolab.hvo.runs import FolioRuns
from hvolab.machine import MachineSpec, VmemmapBacking
from hvolab.machine.frames.failure import FailCalls, FailFrom, FailurePolicy, NeverFail
from hvolab.plugin import registry
from tests.machines import MIB, Pools, pools, x86_64

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
        assert np.array_equal(together.machine.memory.words, apart.machine.memory.words)


def single_steps(target: Target, spec: MachineSpec) -> Pools:
    """A machine on which somebody listens, so that everything goes folio by folio."""
    lab = pools(spec, target)
    lab.machine.trace.listeners.append(lambda _: None)
    return lab


@pytest.mark.parametrize("target", _TARGETS, ids=lambda target: target.architecture.name)
@pytest.mark.parametrize("backing", list(VmemmapBacking))
def test_a_run_leaves_what_folio_by_folio_leaves(
    target: Target, backing: VmemmapBacking, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = {"optimize": 0, "restore": 0}
    for step in taken:
        whole = getattr(FolioRuns, step)

        def counted(runs: FolioRuns, *args: object, step: str = step, whole: object = whole, **more: object) -> bool:
            done = whole(runs, *args, **more)  # type: ignore[operator]
            taken[step] += done
            return bool(done)

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


def test_with_a_failure_armed_it_goes_folio_by_folio() -> None:
    together, apart = pools(_SPEC), single_steps(x86_64(), _SPEC)
    check_side_by_side(together, apart, (FailCalls(frozenset({9})), FailCalls(frozenset({9}))))
    together, apart = pools(_SPEC), single_steps(x86_64(), _SPEC)
    check_side_by_side(together, apart, (FailFrom(30), FailFrom(30)))


def test_a_run_is_cut_where_another_table_begins_and_where_a_folio_has_several() -> None:
    lab = pools(_SPEC)
    runs = Hvo(lab.machine)._runs
    unit = 2 * MIB
    folios = [unit, unit + 0x8000, 3 * unit, unit + 0x10000]

    def cut(folios: list[int], span: int) -> list[list[int]]:
        return list(runs.neighbors(np.array(folios, dtype=np.uint64), span))

    assert cut(folios, 0x8000) == [folios[:2], folios[2:3], folios[3:]]
    assert cut([0, 8 * unit], 8 * unit) == [[0], [8 * unit]]
    assert cut([], 0x8000) == []
