"""Where the kernel stops with BUG(), so does the engine."""

from __future__ import annotations

import pytest

from hvolab.errors import KernelBug
from hvolab.machine.struct_pages import lists
from tests.core.invariants.mutants import SMALL, grown, pools


def test_a_restore_that_finds_a_foreign_frame_stops_like_the_kernel() -> None:
    lab = pools(SMALL)
    grown(lab)
    folio = next(lab.pools[0].free_folios())
    step = lab.machine.tables.find(folio + 4096)
    lab.machine.memory.write_word(step.slot, step.raw + 4096)
    with pytest.raises(KernelBug, match="not mapped to the page to reuse"):
        lab.hvo.restore_folio(lab.pools[0].h, folio)


def test_a_corrupt_list_stops_like_the_kernel() -> None:
    lab = pools(SMALL)
    grown(lab)
    head = lab.pools[0].h.freelists[0]
    first = lab.machine.cpus[0].load_word(head)
    lab.machine.cpus[0].store_word(first + 8, first)
    with pytest.raises(KernelBug, match="list corruption"):
        lists.delete(lab.machine.cpus[0], first)
