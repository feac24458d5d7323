# SPDX-License-Identifier: GPL-2.0-only
"""The survey has the frame and the entry of every page of vmemmap."""

from __future__ import annotations

import numpy as np

from hvolab.invariants import survey
from tests.core.invariants.mutants import SMALL
from tests.machines import pools


def test_pages_have_the_frames_that_the_tables_map_them_to() -> None:
    lab = pools(SMALL)
    lab.pools[0].set_max_huge_pages(2)
    machine = lab.machine
    seen = survey(machine, lab.pools)
    pages = machine.struct_pages
    (folios,) = (folios for folios in seen.folios if folios.pfns.size)
    assert folios.pfns.tolist() == sorted(map(pages.pfn, lab.pools[0].live))
    assert seen.optimized(folios.pfns).all()
    for position in seen.positions(folios.pfns).tolist():
        tails = seen.frames[position : position + seen.sizes(folios).pages]
        assert set(tails.tolist()) == {machine.tables.frame_of(seen.va(position))}
        assert seen.raws[position]
    assert [chunk.pfns.tolist() for chunk in seen.chunks()] == [folios.pfns.tolist()]
    assert seen.backing.size == machine.counters.total
    assert seen.split_vas.size == seen.tables.size == 1


def test_a_place_is_described_with_its_entry() -> None:
    lab = pools(SMALL)
    seen = survey(lab.machine)
    assert seen.va(0) == lab.machine.struct_pages.va(lab.machine.vmemmap[0][0])
    assert f"VA {seen.va(0):#x}, entry " in seen.where(0)
    assert np.count_nonzero(seen.raws) == 0
