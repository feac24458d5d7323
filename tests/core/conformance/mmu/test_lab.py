# SPDX-License-Identifier: GPL-2.0-only
"""The lab: tables of its own below a free entry, through which a leaf of any level maps the same word."""

from __future__ import annotations

import pytest

from hvolab.arch import EntryKind, PgprotRole
from hvolab.conformance.mmu.lab import lay_out
from tests.core.conformance.mmu.targets import DEFAULTS, EMULATED, target_of


@pytest.mark.parametrize(("architecture", "mode"), EMULATED, ids=map("-".join, EMULATED))
def test_a_leaf_of_every_level_leads_to_the_same_word(architecture: str, mode: str) -> None:
    target = target_of(architecture, mode)
    lab = lay_out(target)
    for depth, level in enumerate(target.mode.levels):
        if target.mode.format.leaf_form(level.name) is None:
            continue
        form = target.mode.format.form(level.name, EntryKind.LEAF)
        assert form.get_address(lab.leaf_address(depth)) | lab.va & (level.size - 1) == lab.pa


@pytest.mark.parametrize("architecture", DEFAULTS)
def test_entries_stored_to_the_slots_map_the_word(architecture: str) -> None:
    lab = lay_out(target_of(architecture))
    memory, levels = lab.machine.memory, lab.target.mode.levels
    for depth, level in enumerate(levels[:-1]):
        if depth >= lab.first:
            memory.write_word(lab.slots[depth], lab.target.table(level.name, lab.tables[depth + 1]))
    pfn = lab.pa >> lab.target.mode.page_shift
    memory.write_word(lab.slots[-1], lab.target.leaf(levels[-1].name, pfn, PgprotRole.KERNEL))
    memory.write_word(lab.pa, 0x1122334455667788)
    lab.machine.cpus[0].flush_all()
    assert lab.machine.cpus[0].load_word(lab.va) == 0x1122334455667788


@pytest.mark.parametrize("architecture", DEFAULTS)
def test_the_first_entry_of_the_lab_was_free(architecture: str) -> None:
    lab = lay_out(target_of(architecture))
    level = lab.target.mode.levels[lab.first]
    raw = lab.machine.memory.read_word(lab.slots[lab.first])
    assert lab.target.mode.format.classify(level.name, raw) is EntryKind.NONE
