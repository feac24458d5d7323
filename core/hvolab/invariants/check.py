"""Check of the invariants that are states, on a machine at rest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hvolab.hugetlb import Pool
from hvolab.hvo import V6_12, HvoVariant
from hvolab.invariants.invariant import Finding
from hvolab.invariants.registry import INVARIANTS
from hvolab.invariants.survey import Folios, survey
from hvolab.machine import Machine


def check(
    machine: Machine,
    pools: Iterable[Pool] = (),
    folios: Sequence[Folios] = (),
    *,
    other_frames: int = 0,
    variant: HvoVariant = V6_12,
) -> list[Finding]:
    """Check every invariant that is a state; return the findings, none where all hold.

    pools         the pools whose folios and counters are checked
    folios        further folios that are in no pool
    other_frames  allocated frames that belong to neither vmemmap, page tables nor folios
    variant       variant of HVO whose invariants are checked
    """
    seen = survey(machine, pools, folios, other_frames=other_frames)
    findings: list[Finding] = []
    for invariant in INVARIANTS:
        if invariant.state is not None and invariant.applies_to(variant):
            invariant.state(seen, invariant.reporter(findings))
    return findings
