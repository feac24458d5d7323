# SPDX-License-Identifier: GPL-2.0-only
"""Mutants that break the invariant: pool."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hvolab.machine.frames.failure import FailFrom
from hvolab.release import release_named
from tests.core.invariants.mutants import SMALL, broken, grown, pools, pools_of


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
