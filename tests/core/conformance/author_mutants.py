# SPDX-License-Identifier: GPL-2.0-only
"""Slips of authors of a new architecture: in bases, low bits, byte order, protections, names and reference values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hvolab.arch import (
    AddressPart,
    Architecture,
    EntryForm,
    EntryRule,
    Field,
    Level,
    Match,
    Permission,
    PgprotRole,
    values,
)
from tests.core.conformance.mutants import (
    ARM,
    KERNEL,
    LARGE,
    LEAF,
    RO,
    SV39,
    SV57,
    TABLE,
    X86,
    Mutant,
)
from tests.core.conformance.slips import (
    at_levels,
    fields_moved,
    in_every_form,
    in_feature,
    in_forms,
    in_mmu,
    in_mode,
    in_pgprots,
)

_PTE, _PMD = "pte", "pmd"


def _example(architecture: Architecture, number: int, **changes: Any) -> Architecture:
    """With one example changed."""
    examples = list(architecture.examples)
    examples[number] = replace(examples[number], **changes)
    return replace(architecture, examples=tuple(examples))


def _figures(**changes: Any) -> Architecture:
    return replace(X86, figures=(replace(X86.figures[0], **changes),))


def _address(*parts: AddressPart) -> Architecture:
    """riscv, its pages with another address."""
    return in_forms(SV39, lambda form: replace(form, address=parts), LEAF, _PTE)


def _with_field(field: Field) -> Architecture:
    return in_forms(X86, lambda form: replace(form, fields=(*form.fields, field)), LEAF, _PTE)


def _without(role: PgprotRole, profile: str) -> Architecture:
    kept = (pgprot for pgprot in SV39.pgprots if pgprot.role is not role or profile not in pgprot.profiles)
    return replace(SV39, pgprots=tuple(kept))


def _ruled(form: EntryForm) -> EntryForm:
    rule = EntryRule(Match(1 << 1, 1 << 1), "a page is never writable", "a wrong page of the manual")
    return replace(form, rules=(*form.rules, rule))


def _inside(form: EntryForm) -> EntryForm:
    """A table's address that has a bit below the page, though the tables below fill pages."""
    fields = tuple(field for field in form.fields if not field.mask >> 11 & 1)
    return replace(form, address=(AddressPart(11, 41, 11),), fields=fields)


def _shorter(level: Level) -> Level:
    return replace(level, bits=8) if level.name == _PMD else level


def _raises(*_: object) -> tuple[tuple[str, int], ...]:
    raise KeyError("no such register")


_SOUND = "the_description_is_sound"
_FIGURES, _PGPROT, _DECODE = "known_figures_hold", "known_entries_have_their_pgprot", "known_entries_decode_correctly"

GEOMETRY = (
    Mutant("PAGE_OFFSET of older kernels", in_mode(X86, direct_map_base=0xFFFF880000000000), _FIGURES),
    Mutant(
        "a direct map that is larger than the kernel's VAs",
        in_mode(X86, direct_map_size=1 << 50),
        "direct_map_and_vmemmap_are_apart",
    ),
    Mutant(
        "VAs that are high, but not sign-extended",
        in_mode(X86, direct_map_base=0xC000000000000000),
        "bases_are_canonical",
        also=(_FIGURES,),
    ),
    Mutant(
        "a direct map that begins inside a page",
        in_mode(X86, direct_map_base=0xFFFF888000000800),
        "bases_are_canonical",
    ),
    Mutant("a level with half its entries", at_levels(X86, _shorter), "levels_tile_the_va"),
    Mutant("no huge pages of 1 GiB", in_mode(X86, huge_page_levels=((_PMD, 1),)), _FIGURES),
    Mutant(
        "huge page sizes from the largest on",
        in_mode(X86, huge_page_levels=(("pud", 1), (_PMD, 1))),
        "huge_page_sizes_can_be_mapped",
    ),
    Mutant("a PA one bit too wide", in_mode(X86, pa_bits=53), "addresses_fill_the_pa_width"),
    Mutant(
        "a valid entry in new tables",
        in_mode(X86, format=replace(X86.modes[0].format, empty_at=((_PTE, 1),))),
        _SOUND,
    ),
    Mutant(
        "a run that another field marks",
        replace(ARM, run_fields=("CONTIGUOUS",)),
        "a_run_of_entries_has_a_field_that_marks_it",
    ),
    Mutant("two modes of one name", replace(X86, modes=X86.modes * 2), _SOUND),
)

ENTRIES = (
    Mutant(
        "a table whose address begins inside a table",
        in_forms(X86, _inside, TABLE, _PMD),
        "addresses_fill_the_pa_width",
    ),
    Mutant("an address that begins one bit too low", _address(AddressPart(9, 44, 12)), "every_bit_has_one_meaning"),
    Mutant("an address that is shifted by one bit", _address(AddressPart(10, 44, 13)), "addresses_fill_the_pa_width"),
    Mutant(
        "the same half of an address twice",
        _address(AddressPart(10, 22, 12), AddressPart(32, 22, 12)),
        "addresses_fill_the_pa_width",
    ),
    Mutant("a field above the entry", _with_field(Field("KEY", 62, 4, "a key")), "every_bit_has_one_meaning"),
    Mutant(
        "a field in the middle of the address", _with_field(Field("KEY", 40, 4, "a key")), "every_bit_has_one_meaning"
    ),
    Mutant(
        "no-execute one bit too low",
        in_mmu(
            in_every_form(X86, lambda form: fields_moved(form, {"NX": 62})),
            execute=Permission(Match(1 << 62, 0), Match(1 << 62, 0)),
        ),
        "every_bit_has_one_meaning",
    ),
    Mutant("a rule that no page can keep", in_forms(X86, _ruled, LEAF, _PTE), _SOUND),
    Mutant(
        "a constant that its own pattern excludes",
        in_forms(SV39, lambda form: replace(form, constant=values(V=0)), LEAF, _PTE),
        _SOUND,
    ),
    Mutant("SME's bit one too low", in_feature(X86, "sme", adds=(Field("C", 46, 1, "encrypted"),)), _DECODE),
    Mutant(
        "entries in the byte order of a big-endian kernel",
        replace(SV57, byte_order="big"),
        "known_bytes_are_in_the_byte_order_of_entries",
        also=(_DECODE,),
    ),
    Mutant("a byte order that does not exist", replace(X86, entry_byte_order="pdp"), _SOUND),  # type: ignore[arg-type]
)

PROTECTIONS = (
    Mutant("table entries without their low bits", in_pgprots(X86, PgprotRole.TABLE, drop=("A", "D")), _PGPROT),
    Mutant("PAGE_KERNEL that is not present", in_pgprots(X86, KERNEL, drop=("P",)), _SOUND),
    Mutant("large leaves that are tables", in_pgprots(X86, LARGE, drop=("PSE",)), _SOUND),
    Mutant("PAGE_KERNEL for users too", in_pgprots(X86, KERNEL, add=values("US")), _PGPROT),
    Mutant("PAGE_KERNEL that is not cached", in_pgprots(X86, KERNEL, add=values("PCD")), _PGPROT),
    Mutant("PAGE_KERNEL that is not dirty", in_pgprots(X86, KERNEL, drop=("D",)), "kernel_pages_need_no_flag_fault"),
    Mutant("PAGE_KERNEL_RO that can be executed", in_pgprots(X86, RO, drop=("NX",)), _PGPROT),
    Mutant(
        "large leaves that can be executed",
        in_pgprots(X86, LARGE, drop=("NX",)),
        "large_leaves_are_as_permissive_as_pages",
    ),
    Mutant("pages without shareability", in_pgprots(ARM, KERNEL, drop=("SH",)), _PGPROT),
    Mutant("a field that no entry has", in_pgprots(X86, KERNEL, add=values("WRITE")), _SOUND),
    Mutant("a value that is too large for its field", in_pgprots(X86, KERNEL, add=values(RW=2)), _SOUND),
    Mutant("no protection that stops stores in profile strict", _without(RO, "strict"), _SOUND),
    Mutant(
        "reading and writing interchanged",
        in_mmu(X86, read=X86.mmu.write, write=Permission()),
        "page_kernel_ro_is_read_only",
        also=("a_store_to_a_tail_faults",),
    ),
    Mutant("nothing stops a store", in_mmu(X86, write=Permission()), "page_kernel_ro_is_read_only"),
    Mutant(
        "a permission to execute by a bit of the address",
        in_mmu(X86, execute=Permission(Match(1 << 40, 0))),
        "permission_patterns_name_fields",
    ),
)

NAMES = (
    Mutant("an example of the frame beside it", _example(X86, 3, pfn=0x54E5), _DECODE),
    Mutant("an example of the other protection", _example(X86, 4, role=KERNEL), _PGPROT),
    Mutant(
        "an example whose bytes were read as words",
        _example(X86, 3, raw=bytes.fromhex("80000000054e4163")),
        "known_bytes_are_in_the_byte_order_of_entries",
    ),
    Mutant(
        "an example of half an entry",
        _example(X86, 3, raw=bytes.fromhex("63 41 4e 05")),
        "reference_values_name_declared_items",
        beside=(_PGPROT,),
    ),
    Mutant("savings of all pages but two", _figures(huge_pages=((0x200000, 6), (0x40000000, 4094))), _FIGURES),
    Mutant("figures of a mode that is not there", _figures(mode="3-level"), "reference_values_name_declared_items"),
    Mutant(
        "figures with a feature that is not there",
        _figures(features=("ptu",)),
        "reference_values_name_declared_items",
        beside=(_FIGURES,),
    ),
    Mutant("two features of one name", replace(X86, features=(X86.features[0], *X86.features)), _SOUND),
    Mutant("a feature of a mode that is not there", in_feature(X86, "pti", modes=("3-level",)), _SOUND),
    Mutant("a feature that clears a field of another name", in_feature(X86, "pti", clears=("GLOBAL",)), _SOUND),
    Mutant(
        "absent on purpose: a name of no capability",
        replace(X86, absent=(("emulating", "none"),)),
        "what_is_absent_on_purpose_has_a_reason",
    ),
    Mutant(
        "absent on purpose: no reason",
        replace(X86, absent=(("emulation", ""),)),
        "what_is_absent_on_purpose_has_a_reason",
    ),
    Mutant("registers of a fault that raise an error", in_mmu(X86, syndrome=_raises), "a_store_to_a_tail_faults"),
)

AUTHORS = (*GEOMETRY, *ENTRIES, *PROTECTIONS, *NAMES)
