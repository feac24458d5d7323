# SPDX-License-Identifier: GPL-2.0-only
"""Tables that rows refer to."""

from __future__ import annotations

import numpy as np

from hvolab.arch import PgprotRole
from hvolab.machine import MachineSpec
from hvolab.plugin import registry
from hvolab_report.timeline.tables import Bases, Patterns, Table, pfn_runs
from tests.machines import pools, x86_64
from tests.plugins.hvolab_report.runs import MIB


def test_a_value_is_made_once() -> None:
    made = Table[str, str](str.upper)
    assert [made.index(key) for key in "aba"] == [0, 1, 0]
    assert made.values == ["A", "B"]


def test_runs_of_pfns_differ_evenly() -> None:
    assert pfn_runs([9, 8, 7, 20, 20, 5]) == [9, -1, 3, 20, 0, 2, 5, 0, 1]
    assert pfn_runs([]) == []


def test_bases_are_those_of_the_machine_and_what_is_elsewhere_gets_one() -> None:
    machine = pools(MachineSpec(memory=256 * MIB)).machine
    bases = Bases(machine)
    vas = [machine.struct_pages.va(3), machine.page_to_virt(7), 0xFFFFFFFF81000000, 0x1000]
    split = [bases.split(va) for va in vas]
    assert [index for index, _ in split] == [0, 1, 1, 2]
    assert [bases.values[index] + offset for index, offset in split] == vas


def test_entries_are_patterns_and_pfns() -> None:
    patterns, target = Patterns(x86_64()), x86_64()
    pte = len(target.mode.levels) - 1
    entries = target.page_entries(np.array([5, 6, 7, 7]), PgprotRole.KERNEL_RO)
    entries[3] = 0
    assert patterns.runs(pte, entries) == [0, 5, 1, 3, 1, 0, 0, 1]
    read_only, none = patterns.table.values
    assert (read_only.kind, read_only.pgprots, read_only.access) == ("leaf", ("PAGE_KERNEL_RO",), "r")
    assert next(bits for bits in read_only.fields if bits.low == 1).value == "0x0"
    assert (none.kind, none.fields) == ("none", ())


def test_bits_of_the_pa_are_put_back_by_the_parts_of_the_address() -> None:
    target = registry().architecture("arm64").select("64K-52bit")
    patterns, level = Patterns(target), len(target.mode.levels) - 1
    raw = int(target.page_entries(np.array([0xABCDEF123]), PgprotRole.KERNEL)[0])
    index, pfn = patterns.split(level, raw)
    pattern, pa = patterns.table.values[index], pfn << target.mode.page_shift
    bits = sum((pa >> part.physical & (1 << part.width) - 1) << part.low for part in pattern.address)
    assert int(pattern.raw, 16) | bits == raw
    assert len(pattern.address) == 2
