# SPDX-License-Identifier: GPL-2.0-only
"""Words of reports: bits with their fields, and the pgprots that refuse an access."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hvolab.arch import EntryKind, Match, Permission, PgprotRole
from hvolab.conformance.wording import deciding, refusing, wanted
from hvolab.errors import EncodingError
from tests.core.conformance.mutants import ARM, X86
from tests.core.conformance.slips import in_mode

RW, NX = 1 << 1, 1 << 63


def test_bits_have_their_fields_and_are_set_or_not() -> None:
    form = X86.select().page_form
    assert wanted(form, Match(RW | NX, RW), NX) == "bit 1 (RW) not set and bit 63 (NX) set"
    assert form.name_bits(1 << 12 | 1 << 13 | RW) == "bit 1 (RW), bits 12, 13 (address)"
    assert form.name_bits(0) == ""


def test_each_entry_of_a_walk_that_refuses_is_named_with_its_pgprot() -> None:
    target, level = X86.select(), "pte"
    leaf = target.leaf(level, 0, PgprotRole.KERNEL)
    tables = {"pgd": target.table("pgd", 0), "pmd": target.table("pmd", 0) & ~RW}
    words, names = refusing(target, target.mmu.write, (level, PgprotRole.KERNEL, leaf & ~RW), tables)
    assert words == "the leaf has bit 1 (RW) not set, the table entry at pmd has bit 1 (RW) not set"
    assert names == "PAGE_KERNEL and _PAGE_TABLE"
    needs_a_table = Permission(some_table=Match(RW, 0))
    words, names = refusing(target, needs_a_table, (level, PgprotRole.KERNEL, leaf), tables)
    assert (words, names) == ("no entry of the walk has the patterns that it needs", "PAGE_KERNEL")


def test_the_bits_at_which_a_permission_looks_are_those_of_a_page() -> None:
    assert deciding(X86.select(), X86.mmu.write) == "bit 1 (RW)"
    assert deciding(X86.select(), Permission()) == "no bit of a page"


def test_an_entry_of_no_form_is_explained_by_the_nearest_one() -> None:
    entries = ARM.modes[0].format
    (text, _), *_ = entries.broken_rules("pte", 0b01)
    assert "nearest form is a leaf entry at pte, which differs in bit 1 (TYPE)" in text
    assert entries.nearest("pte", 0b11, EntryKind.TABLE) == "pte has no such form"


def test_a_pgprot_that_does_not_make_its_kind_is_named_with_the_bits() -> None:
    entries = X86.modes[0].format
    target = in_mode(X86, format=replace(entries, valid=Match(1 << 9, 1 << 9))).select()
    with pytest.raises(
        EncodingError, match="PAGE_KERNEL makes 0x8000000000000163 at pte, an entry that is not"
    ) as caught:
        target.leaf("pte", 0, PgprotRole.KERNEL)
    assert caught.value.where == "valid at pte: entry & 0x200 == 0x200"
