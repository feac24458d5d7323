"""The twelve invariants of HVO: states checked at rest, and histories checked by a listener."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hvolab.hugetlb import Pool
from hvolab.invariants.content import check_content
from hvolab.invariants.finding import Finding, Rule
from hvolab.invariants.history import EndlessLoopError, Monitor
from hvolab.invariants.mapping import check_counters, check_remapped, check_static_key
from hvolab.invariants.ownership import check_ownership, check_self_hosted, check_splits
from hvolab.invariants.pools import check_pool
from hvolab.invariants.survey import Folios, Survey, folios_of, survey
from hvolab.machine import Machine

__all__ = ["EndlessLoopError", "Finding", "Folios", "Monitor", "Rule", "Survey", "check", "folios_of", "survey"]


def check(
    machine: Machine,
    pools: Iterable[Pool] = (),
    folios: Sequence[Folios] = (),
    *,
    other_frames: int = 0,
) -> list[Finding]:
    """Check the invariants that are states: 1 to 5 and 7 to 9. Empty where all hold.

    pools         the pools whose folios are checked, and whose counters
    folios        further folios that are in no pool
    other_frames  allocated frames that belong to neither vmemmap, page tables nor folios
    """
    pools = tuple(pools)
    every = (*folios_of(pools), *folios)
    seen = survey(machine)
    findings: list[Finding] = []
    for group in every:
        if group.pfns.size:
            findings += check_remapped(seen, group)
            findings += check_content(seen, group)
    findings += check_static_key(seen, every)
    findings += check_counters(seen)
    findings += check_ownership(seen, every, other_frames)
    findings += check_splits(seen)
    findings += check_self_hosted(seen)
    for pool in pools:
        findings += check_pool(pool)
    return findings
