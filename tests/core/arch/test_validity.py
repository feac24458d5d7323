# SPDX-License-Identifier: GPL-2.0-only
"""Where levels tell validity by different bits, zero is valid, kernel VAs begin at 0, or a form has constant bits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hvolab.arch import AddressPart, EntryFormat, EntryKind, Match, PgprotRole, values
from hvolab.errors import DescriptionError, EncodingError
from hvolab.machine import MachineSpec, build_machine
from tests.made_up import FORMAT, MADE_UP, MODE, UPPER_PART

_INVALID, _VALID = 1 << 2, 1 << 63
#: At the last level an entry is valid where one of two bits says so.
EITHER = replace(FORMAT, valid_at=(("last", (Match(_VALID, _VALID), Match(_INVALID, _INVALID))),))


def test_validity_is_told_for_each_level() -> None:
    assert EITHER.is_valid("last", _VALID)
    assert EITHER.is_valid("last", _INVALID)
    assert not EITHER.is_valid("last", 1)
    assert EITHER.is_valid("middle", _VALID)
    assert not EITHER.is_valid("middle", _INVALID)


def test_a_run_of_entries_is_told_at_once() -> None:
    raws = np.array([_VALID, _INVALID, 1, _VALID | 1], dtype=np.uint64)
    assert np.asarray(EITHER.is_valid("last", raws)).tolist() == [True, True, False, True]
    assert np.asarray(EITHER.is_valid("root", raws)).tolist() == [True, False, False, True]


def test_what_is_valid_at_one_level_may_be_none_at_another() -> None:
    assert EITHER.classify("last", _INVALID) is EntryKind.ILLEGAL
    assert EITHER.classify("middle", _INVALID) is EntryKind.NONE


def where_zero_is_valid(empty_at: tuple[tuple[str, int], ...]) -> EntryFormat:
    """The made-up format with a valid bit that is clear where an entry of the last level is valid."""
    last = FORMAT.form("last", EntryKind.LEAF)
    clear = replace(last, recognize=(Match(_VALID, 0),))
    forms = tuple(clear if form is last else form for form in FORMAT.forms)
    return replace(FORMAT, forms=forms, valid_at=(("last", (Match(_VALID, 0),)),), empty_at=empty_at)


def test_a_mode_whose_empty_entries_are_valid_is_refused() -> None:
    with pytest.raises(DescriptionError, match="an empty entry of last, 0x0, is valid"):
        replace(MODE, format=where_zero_is_valid(())).check()
    replace(MODE, format=where_zero_is_valid((("last", _VALID),))).check()


def test_a_new_table_holds_empty_entries() -> None:
    mode = replace(MODE, format=where_zero_is_valid((("last", _VALID),)), vmemmap_level="last")
    pgprots = tuple(
        prot if prot.role is PgprotRole.TABLE else replace(prot, fields=values("R", "A", TYPE=2))
        for prot in MADE_UP.pgprots
    )
    large = replace(pgprots[-2], fields=values("VALID", "R", "A", TYPE=2))
    architecture = replace(MADE_UP, modes=(mode,), pgprots=(*pgprots[:-2], large, pgprots[-1]))
    machine = build_machine(architecture.select(), MachineSpec(memory=64 << 20))
    end = machine.struct_pages.va(machine.memory.first_pfn + machine.memory.frames)
    beyond = end + mode.page_size
    assert machine.tables.find(end - 1).kind is EntryKind.LEAF
    assert (machine.tables.find(beyond).raw, machine.tables.find(beyond).kind) == (_VALID, EntryKind.NONE)
    assert machine.tables.frames(beyond, 2).tolist() == [-1, -1]


def test_kernel_vas_begin_where_the_mode_says() -> None:
    low = replace(MODE, kernel_base=0, split_roots=True)
    assert low.canonical(0)
    assert low.canonical((1 << MODE.va_bits) - 1)
    assert not low.canonical(1 << MODE.va_bits)
    assert not low.canonical(MODE.direct_map_base)


def test_constant_bits_are_there_whatever_the_protection_says_and_give_way_to_it() -> None:
    table = FORMAT.form("middle", EntryKind.TABLE)
    typed = replace(table, constant=values(TYPE=1))
    assert typed.put_fields(values("VALID")) == table.put_fields(values("VALID", TYPE=1))
    assert typed.put_fields(values("VALID", TYPE=3)) == table.put_fields(values("VALID", TYPE=3))


def test_an_entry_with_another_value_than_a_constant_one_is_refused() -> None:
    table = replace(FORMAT.form("middle", EntryKind.TABLE), recognize=(Match(_VALID, _VALID),), constant=values(TYPE=1))
    entries = replace(FORMAT, forms=(table,))
    assert entries.decode("middle", _VALID | 1 << 61, 14).kind is EntryKind.TABLE
    with pytest.raises(EncodingError, match=r"TYPE \(bits 62:61\) is 1 in every table entry at root/middle"):
        entries.decode("middle", _VALID | 3 << 61, 14)


def test_a_table_may_begin_inside_a_page_and_is_walked_there() -> None:
    """As powerpc's fragments: the address of a table has bits below the page."""
    low = AddressPart(low=24, width=24, physical=10)  # a table of the last level has 1 KiB
    table = replace(FORMAT.form("middle", EntryKind.TABLE), levels=("middle",), address=(low, UPPER_PART))
    above = replace(FORMAT.form("root", EntryKind.TABLE), levels=("root",))
    leaves = tuple(form for form in FORMAT.forms if form.kind is EntryKind.LEAF)
    mode = replace(MODE, format=replace(FORMAT, forms=(above, table, *leaves)))
    architecture = replace(MADE_UP, modes=(mode,), features=())
    architecture.check()
    machine = build_machine(architecture.select(), MachineSpec(memory=64 << 20))
    va = machine.struct_pages.va(machine.memory.first_pfn)
    slot = machine.tables.walk(va)[1].slot
    page = machine.memory.base
    machine.memory.write_entry(slot, _VALID | 1 << 61 | table.put_address(page + 0x400))
    entry = machine.target.decode("middle", machine.memory.read_entry(slot))
    assert (entry.pfn, entry.offset) == (page >> 14, 0x400)
    assert f"pfn={page >> 14:#x}+0x400" in str(entry)
    assert machine.tables.find(va).slot == page + 0x400 + mode.last.index(va) * 8
