# SPDX-License-Identifier: GPL-2.0-only
"""x86_64: the raw entries and figures that kernels and manuals give."""

from __future__ import annotations

import pytest

from hvolab.arch import EntryKind, LiveEntryRule, MemoryOrder, PgprotRole
from hvolab.errors import EncodingError
from hvolab.plugin import registry
from hvolab_x86_64.description import X86_64

KERNEL, RO, LARGE, TABLE = PgprotRole.KERNEL, PgprotRole.KERNEL_RO, PgprotRole.KERNEL_LARGE, PgprotRole.TABLE
MODES = pytest.mark.parametrize("mode", ["4-level", "5-level"])


def test_the_description_holds_and_is_found_under_every_name() -> None:
    X86_64.check()
    assert {registry().architecture(name).name for name in ("x86_64", "amd64", "x86-64", "intel64")} == {"x86_64"}


@MODES
@pytest.mark.parametrize(
    ("role", "level", "release", "raw"),
    [
        (KERNEL, "pte", "6.12", 0x8000000000000163),
        (RO, "pte", "6.12", 0x8000000000000121),
        (KERNEL, "pte", "6.1", 0x8000000000000163),
        (RO, "pte", "6.1", 0x8000000000000161),
        (LARGE, "pmd", "6.12", 0x80000000000001E3),
        (LARGE, "pud", "6.12", 0x80000000000001E3),
        (TABLE, "pmd", "6.12", 0x67),
        (TABLE, "pgd", "6.12", 0x67),
    ],
)
def test_protections_have_the_bits_that_kernels_show(
    mode: str, role: PgprotRole, level: str, release: str, raw: int
) -> None:
    assert X86_64.select(mode, release=release).bits(level, role) == raw


@pytest.mark.parametrize(
    ("role", "level", "raw"),
    [
        (KERNEL, "pte", 0x8000000000000063),
        (RO, "pte", 0x8000000000000021),
        (LARGE, "pmd", 0x80000000000000E3),
        (TABLE, "pmd", 0x67),
    ],
)
def test_page_table_isolation_drops_global_from_every_leaf(role: PgprotRole, level: str, raw: int) -> None:
    assert X86_64.select(features=("pti",)).bits(level, role) == raw


@pytest.mark.parametrize(
    ("level", "role"), [("pte", KERNEL), ("pte", RO), ("pmd", LARGE), ("pud", LARGE), ("pmd", TABLE), ("pgd", TABLE)]
)
def test_memory_encryption_sets_the_c_bit_in_leaves_and_tables(level: str, role: PgprotRole) -> None:
    plain, encrypted = X86_64.select(), X86_64.select(features=("sme",))
    assert encrypted.bits(level, role) == plain.bits(level, role) | 1 << 47


def test_memory_encryption_takes_its_bit_from_the_output_address() -> None:
    encrypted = X86_64.select(features=("sme",))
    assert encrypted.leaf("pte", 0x5504, KERNEL) == 0x8000800005504163
    assert encrypted.decode("pte", 0x8000800005504163).pfn == 0x5504
    with pytest.raises(EncodingError, match="does not fit"):
        encrypted.leaf("pte", 1 << 35, KERNEL)


@pytest.mark.parametrize(
    ("level", "raw", "kind", "pfn"),
    [
        ("pmd", 0x80000000BCE001E3, EntryKind.LEAF, 0xBCE00),
        ("pmd", 0x00000000054E5067, EntryKind.TABLE, 0x54E5),
        ("pte", 0x80000000054E4163, EntryKind.LEAF, 0x54E4),
        ("pte", 0x80000000054E4121, EntryKind.LEAF, 0x54E4),
        ("pmd", 0, EntryKind.NONE, None),
    ],
)
def test_entries_read_off_a_running_kernel_are_decoded(level: str, raw: int, kind: EntryKind, pfn: int | None) -> None:
    entry = X86_64.select().decode(level, raw)
    assert (entry.kind, entry.pfn) == (kind, pfn)


def test_a_page_sized_leaf_is_refused_where_only_tables_may_stand() -> None:
    for mode, level in (("4-level", "pgd"), ("5-level", "p4d"), ("5-level", "pgd")):
        with pytest.raises(EncodingError, match="type bits"):
            X86_64.select(mode).decode(level, 0x80000000000001E3)


def test_the_bases_are_those_of_the_kernel_without_kaslr() -> None:
    bases = {mode.name: (mode.vmemmap_base, mode.direct_map_base) for mode in X86_64.modes}
    assert bases == {
        "4-level": (0xFFFFEA0000000000, 0xFFFF888000000000),
        "5-level": (0xFFD4000000000000, 0xFF11000000000000),
    }


@MODES
def test_huge_pages_are_2_mib_and_1_gib(mode: str) -> None:
    assert [(page.level, page.size) for page in X86_64.mode(mode).huge_pages] == [("pmd", 2 << 20), ("pud", 1 << 30)]


@MODES
def test_every_table_has_512_entries_in_one_page(mode: str) -> None:
    assert {(level.entries, level.table_bytes) for level in X86_64.mode(mode).levels} == {(512, 4096)}


@pytest.mark.parametrize("release", ["6.12", "6.1"])
def test_a_store_to_a_tail_faults_on_every_kernel(release: str) -> None:
    assert X86_64.select(release=release).tails_fault


def test_stores_are_in_order_and_live_entries_may_be_replaced() -> None:
    assert X86_64.traits.memory_order is MemoryOrder.TSO
    assert X86_64.traits.live_entries is LiveEntryRule.FREE
    assert X86_64.traits.bootmem_info
