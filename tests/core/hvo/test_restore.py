# SPDX-License-Identifier: GPL-2.0-only
"""Restored tails: bytes of the head's page or of their own, and where the kernel stops with BUG()."""

from __future__ import annotations

import pytest

from hvolab.errors import KernelBug
from hvolab.hvo import Hvo
from hvolab.machine import Machine, MachineSpec, build_machine
from hvolab.release import KernelRelease
from hvolab.release.releases import V6_12, V6_12_117
from tests.core.invariants.mutants import SMALL, grown, pools
from tests.folios import Hstate, new_folio, restored_tail, vmemmap_pages
from tests.machines import MIB, x86_64

H = Hstate(9)


def restored(release: KernelRelease) -> tuple[Machine, int]:
    machine = build_machine(x86_64(), MachineSpec(memory=256 * MIB))
    hvo, folio = Hvo(machine, release=release), new_folio(machine, H.order)
    hvo.optimize_folio(H, folio)
    assert hvo.restore_folio(H, folio) == 0
    return machine, folio


@pytest.mark.parametrize("listening", [False, True])
def test_a_restored_tail_is_the_heads_page_with_its_first_struct_pages_reset(listening: bool) -> None:  # noqa: FBT001
    machine = build_machine(x86_64(), MachineSpec(memory=256 * MIB))
    if listening:
        machine.trace.listeners.append(lambda _: None)
    hvo, folio = Hvo(machine), new_folio(machine, H.order)
    hvo.optimize_folio(H, folio)
    head = vmemmap_pages(machine, folio, H.order)[0]
    assert hvo.restore_folio(H, folio) == 0
    pages = vmemmap_pages(machine, folio, H.order)
    assert all((page == restored_tail(machine, head)).all() for page in pages[1:])


def test_other_variants_copy_whole_pages() -> None:
    machine, folio = restored(V6_12_117)
    head, *tails = vmemmap_pages(machine, folio, H.order)
    different = {int(word) for tail in tails for word in (tail != head).nonzero()[0]}
    assert different == {machine.struct_pages.layout.private // 8}  # the flag, which is cleared after the copy
    machine, folio = restored(V6_12)
    head, *tails = vmemmap_pages(machine, folio, H.order)
    assert (tails[0] != head).sum() > 3


def test_a_restore_that_finds_a_foreign_frame_stops_like_the_kernel() -> None:
    lab = pools(SMALL)
    grown(lab)
    folio = next(lab.pools[0].free_folios())
    step = lab.machine.tables.find(folio + 4096)
    lab.machine.memory.write_word(step.slot, step.raw + 4096)
    with pytest.raises(KernelBug, match="not mapped to the page to reuse"):
        lab.hvo.restore_folio(lab.pools[0].h, folio)
