# SPDX-License-Identifier: GPL-2.0-only
"""Mutants whose key, counters or frames do not balance, by the folio with which they break."""

from __future__ import annotations

import numpy as np
import pytest

from hvolab.release.releases import V7_2
from tests.core.invariants.mutants import SMALL, grown, pools, pools_of, watched


def test_the_folio_that_is_not_counted_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = pools(SMALL)
    monkeypatch.setattr(lab.hvo, "_count_folio", lambda _: None)
    first = watched(lab, lambda: grown(lab, 1))[0]
    assert first.rule == "static_key"
    assert first.what == "the static key changed by 0 with optimize of folio PFN 0x1000, 1 is right"


def test_the_step_whose_pages_are_not_counted_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = pools(SMALL)
    count = lab.hvo.remap._count
    monkeypatch.setattr(lab.hvo.remap, "_count", lambda pages, **how: None if pages == 1 else count(pages, **how))
    first = watched(lab, lambda: grown(lab, 1))[0]
    assert (first.rule, first.where) == ("counters", "optimize.end of folio PFN 0x1000")
    assert first.what == "nr_memmap_pages differs by -1 from the pages of one step"


def test_the_folio_whose_pages_are_lost_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = pools(SMALL)
    monkeypatch.setattr(lab.hvo.remap, "free_page_list", lambda _: None)
    first = watched(lab, lambda: grown(lab, 1))[0]
    assert (first.rule, first.what) == ("ownership", "8 frames belong to nothing after a batch: not mapped, not freed")
    assert first.where.endswith("folio PFN 0x1000")


def test_a_freed_page_that_tails_share_is_named_with_the_last_folio() -> None:
    lab = pools_of(V7_2)
    grown(lab, 1)
    (shared,) = lab.machine.vmemmap_tails.values()

    def restore() -> None:
        lab.pools[0].set_max_huge_pages(0)
        lab.machine.free_page_run(np.array([shared], dtype=np.int64))

    first = watched(lab, restore)[0]
    assert (first.rule, first.what) == ("ownership", f"PFN {shared:#x} is shared by the tails of a zone, and was freed")
    assert first.where == "after folio PFN 0x1000"
