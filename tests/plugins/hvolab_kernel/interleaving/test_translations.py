# SPDX-License-Identifier: GPL-2.0-only
"""Changes of the mapping of struct pages."""

from __future__ import annotations

import pytest

pytest.importorskip("greenlet", reason="no explorer: pip install 'hvolab[explore]'")

from hvolab.hvo import Hvo
from hvolab_kernel.interleaving.translations import Translations
from tests.plugins.hvolab_explorer.worlds import program


def test_a_split_changes_no_translation_and_an_optimization_changes_all_pages_of_the_folio() -> None:
    world = program("optimize A", split=False).world
    machine, (folio,) = world.machine, world.folios
    first = folio >> machine.target.mode.page_shift
    followed = Translations(machine, [folio])
    followed.begin(range(first, first + 8))
    tables = set(followed.tables)
    assert {len(pages) for pages in followed.pages.values()} == {1}
    engine = Hvo(machine, world.cpus[0])
    engine.split_folio(world.h, folio)
    assert followed.update() == []
    assert followed.tables - tables  # the new table
    engine.optimize_folio(world.h, folio)
    assert followed.update() == list(range(first, first + 8))
    (head,) = machine.tables.frames(folio, 1).tolist()
    assert followed.pages[head] == set(range(first, first + 8))
    followed.begin([first])
    assert followed.pages == {head: {first}}
