# SPDX-License-Identifier: GPL-2.0-only
"""Changes of the mapping of struct pages."""

from __future__ import annotations

import pytest

pytest.importorskip("greenlet", reason="no explorer: pip install 'hvolab[explore]'")

from hvolab.arithmetic import WORD_SHIFT
from hvolab.hvo import Hvo
from hvolab_kernel.interleaving.translations import Translations
from tests.plugins.hvolab_explorer.worlds import program


def test_a_split_changes_no_translation_and_an_optimization_changes_all_pages_of_the_folio() -> None:
    world = program("optimize A", split=False).world
    machine, (folio,) = world.machine, world.folios
    shift = machine.target.mode.page_shift
    first = folio >> shift
    followed = Translations(machine, [folio])
    followed.begin(range(first, first + 8))
    tables = set(followed.tables)
    above = machine.tables.find(folio).slot >> WORD_SHIFT
    assert {len(pages) for pages in followed.pages.values()} == {1}
    engine = Hvo(machine, world.cpus[0])
    engine.split_folio(world.h, folio)
    assert followed.update([above]) == []
    assert followed.tables - tables  # the new table
    entries = [machine.tables.find(folio + (page << shift)).slot >> WORD_SHIFT for page in range(8)]
    engine.optimize_folio(world.h, folio)
    assert followed.update(entries) == list(range(first, first + 8))
    assert followed.update(entries) == []
    (head,) = machine.tables.frames(folio, 1).tolist()
    assert followed.pages[head] == set(range(first, first + 8))
    followed.begin([first])
    (pages,) = followed.pages.values()
    assert pages == {first}
    assert head not in followed.pages


def test_entries_that_were_stored_to_are_read_as_all_are() -> None:
    world = program("optimize A", split=True).world
    machine, (folio,) = world.machine, world.folios
    shift = machine.target.mode.page_shift
    pages = range(folio >> shift, (folio >> shift) + 8)
    one, whole = Translations(machine, [folio]), Translations(machine, [folio])
    for followed in (one, whole):
        followed.begin(pages)
    slots = [machine.tables.find(page << shift).slot for page in pages]
    above = machine.tables.walk(folio)[-2].slot >> WORD_SHIFT
    old = [machine.memory.read_entry(slot) for slot in slots]
    for entries in ([0] * 8, old[::-1], [old[0]] * 8, [old[0] | 1 << 9, *old[1:]], old):
        for slot, entry in zip(slots, entries, strict=True):
            machine.memory.write_entry(slot, entry)
        changed = one.update(slot >> WORD_SHIFT for slot in slots)
        assert changed == whole.update([above])
        assert changed
        assert one.pages == whole.pages
    assert one._state == whole._state
