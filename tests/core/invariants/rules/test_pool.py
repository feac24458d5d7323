# SPDX-License-Identifier: GPL-2.0-only
"""Mutants that break the invariant: pool."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hvolab.machine import MachineSpec
from hvolab.machine.frames.failure import FailFrom
from hvolab.machine.struct_pages import lists
from hvolab.release import release_named
from hvolab.release.faults import TEMPORARY_AS_SURPLUS
from tests.core.invariants.mutants import SMALL, broken, grown, pools, pools_of
from tests.machines import MIB


def test_a_folio_lost_when_its_restore_fails_breaks_rule_7(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = pools(SMALL)
    grown(lab)
    monkeypatch.setattr(lab.pools[0], "add", lambda *_, **__: None)
    lab.frames.failure = FailFrom(1)
    lab.pools[0].set_max_huge_pages(1)
    assert "pool" in broken(lab.findings())


@pytest.mark.parametrize("release", ["6.12", "6.12.117"])
def test_surplus_that_dissolving_does_not_count_breaks_rule_7(release: str) -> None:
    lab = pools_of(release_named(release))
    pool = lab.pools[0]
    # v6.12 dissolves so
    pool.variant = replace(pool.variant, dissolves_surplus=False)
    pool.set_max_huge_pages(1)
    pool.alloc_surplus()
    pool.set_max_huge_pages(0)
    assert not lab.findings()
    (folio,) = pool.free_folios()
    pool.dissolve(folio)
    (finding,) = lab.findings()
    assert (finding.what, finding.declared) == (
        "pool of order 9: surplus 2 is more than nr_hugepages 1",
        release == "6.12",
    )


@pytest.mark.parametrize(
    ("field", "what"),
    [
        ("nr_node", "nr_hugepages of node 0 is 0, but the node has 1"),
        ("free_node", "free_hugepages of node 0 is 0, but the node has 1"),
        ("surplus_node", "surplus_hugepages of node 0 is -1"),
    ],
)
def test_counters_of_nodes_that_agree_in_sum_alone_break_rule_7(field: str, what: str) -> None:
    lab = pools(MachineSpec(memory=256 * MIB, nodes=2))
    grown(lab, 1)
    counts = getattr(lab.pools[0].h, field)
    counts[0], counts[1] = counts[0] - 1, counts[1] + 1
    assert f"pool of order 9: {what}" in [finding.what for finding in lab.findings()]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"max_huge_pages": 3}, "max_huge_pages is 3, but 1 folios are persistent"),
        ({"resv": 2}, "resv_huge_pages is 2, but 1 folios are free"),
        ({"resv": -1}, "resv_huge_pages is -1, but 1 folios are free"),
    ],
)
def test_every_other_field_of_an_hstate_is_held_to_the_folios(change: dict[str, int], what: str) -> None:
    lab = pools(SMALL)
    grown(lab, 1)
    vars(lab.pools[0].h).update(change)
    assert [finding.what for finding in lab.findings()] == [f"pool of order 9: {what}"]


def test_a_folio_on_the_list_of_another_node_breaks_rule_7() -> None:
    lab = pools(MachineSpec(memory=256 * MIB, nodes=2))
    grown(lab, 1)
    h, lru = lab.pools[0].h, lab.machine.struct_pages.layout.lru_next
    lists.move(lab.machine.cpus[0], next(lab.pools[0].free_folios()) + lru, h.freelists[1])
    assert [finding.what for finding in lab.findings()] == [
        "pool of order 9: a free folio is on the free list of node 1"
    ]


@pytest.mark.parametrize("release", ["6.1", "6.12", "7.2"])
def test_a_temporary_folio_in_use_while_its_pool_shrinks_leaves_surplus_by_a_known_fault(release: str) -> None:
    lab = pools_of(release_named(release))
    pool = lab.pools[0]
    pool.set_max_huge_pages(1)
    folio = pool.alloc_temporary()
    assert folio is not None
    assert lab.findings() == []
    pool.set_max_huge_pages(0)
    pool.put(folio)
    assert (pool.h.nr, pool.h.surplus, pool.h.max_huge_pages) == (0, 1, 0)
    findings = lab.findings()
    assert {finding.what.partition(": ")[2] for finding in findings} >= {
        "max_huge_pages is 0, but -1 folios are persistent"
    }
    assert {finding.fault for finding in findings if not finding.declared} == {TEMPORARY_AS_SURPLUS}
    pool.temporaries = 0  # without such a folio it is no known fault
    assert "" in {finding.fault for finding in lab.findings() if not finding.declared}
