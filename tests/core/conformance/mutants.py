# SPDX-License-Identifier: GPL-2.0-only
"""Wrong plugins, each one slip away from a right one, and the check of the kit that names the slip."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from hvolab.arch import (
    Access,
    AddressPart,
    Architecture,
    EntryForm,
    EntryFormat,
    EntryKind,
    Field,
    Level,
    Match,
    MmuRules,
    Permission,
    PgprotRole,
    UpdateRule,
    values,
)
from hvolab_arm64.description import ARM64
from hvolab_riscv.description import RISCV
from hvolab_x86_64.description import X86_64
from tests.core.conformance.slips import (
    at_levels,
    fields_moved,
    in_every_form,
    in_feature,
    in_forms,
    in_mmu,
    in_mode,
    in_pgprots,
    in_traits,
    only,
    renamed,
)

LEAF, TABLE = EntryKind.LEAF, EntryKind.TABLE
KERNEL, RO, LARGE = PgprotRole.KERNEL, PgprotRole.KERNEL_RO, PgprotRole.KERNEL_LARGE
_V, _R, _W, _X = 1, 2, 4, 8  # riscv
_RDONLY, _AF = 1 << 7, 1 << 10  # arm64
_RW, _A, _D = 1 << 1, 1 << 5, 1 << 6  # x86_64

X86 = only(X86_64, "4-level")
ARM = only(ARM64, "4K-48bit")
ARM_16K = only(ARM64, "16K-47bit")
ARM_LPA2 = only(ARM64, "4K-52bit")
ARM_64K52 = only(ARM64, "64K-52bit")
SV39 = only(RISCV, "Sv39")
SV57 = only(RISCV, "Sv57")
RIGHT = (X86, ARM, ARM_16K, ARM_LPA2, ARM_64K52, SV39, SV57)


@dataclass(frozen=True)
class Mutant:
    """One slip.

    slip, architecture  what it is, and the wrong description
    check               the check that names it: no other fails
    also                checks that it blocks
    beside              checks that fail as well: what they report is another thing
    """

    slip: str
    architecture: Architecture
    check: str
    also: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()


class ParentOrOwn(MmuRules):
    """A page is taken for writable where it is, or where what points to it is."""

    def allowed(self, leaf: int, tables: tuple[int, ...]) -> int:
        granted = super().allowed(leaf, tables)
        pattern = self.write.tables
        if pattern is not None and any(pattern.accepts(table) for table in tables):
            granted |= Access.WRITE.value
        return granted


class Lenient(EntryFormat):
    """Reserved bits are not looked at."""

    def broken_rules(self, level: str, raw: int) -> list[tuple[str, str]]:
        return [] if self.recognize(level, raw) is not None else super().broken_rules(level, raw)


class NineBits(Level):
    """A level that takes every table for one of 512 entries."""

    def index(self, va: int) -> int:
        return (va >> self.shift) & 0x1FF


def _lenient() -> Architecture:
    told = X86.modes[0].format
    return in_mode(X86, format=Lenient(told.valid, told.forms))


def _slipshod(level: Level) -> Level:
    return NineBits(level.name, level.shift, level.bits)


def _nothing(*_: object) -> tuple[tuple[str, int], ...]:
    return ()


def _renamed(level: Level) -> Level:
    names = {"pud": "pmd", "pmd": "pud"}
    return replace(level, name=names.get(level.name, level.name))


def _wide(form: EntryForm) -> EntryForm:
    return replace(form, address=(AddressPart(10, 54, 12),))


def _parent_or_own() -> Architecture:
    rules = {name: getattr(X86.mmu, name) for name in X86.mmu.__dataclass_fields__}
    return replace(X86, mmu=ParentOrOwn(**rules))


def _sequence(step: str, *, code: str) -> Architecture:
    part = X86.emulation
    assert part is not None
    sequences = tuple(replace(each, code=code) if each.step == step else each for each in part.sequences)
    return replace(X86, emulation=replace(part, sequences=sequences))


def _cpu_mode(name: str, **changes: Any) -> Architecture:
    part = X86.emulation
    assert part is not None
    modes = tuple(replace(mode, **changes) if mode.name == name else mode for mode in part.cpu_modes)
    return replace(X86, emulation=replace(part, cpu_modes=modes))


def _without_step(step: str) -> Architecture:
    part = X86.emulation
    assert part is not None
    return replace(X86, emulation=replace(part, sequences=tuple(s for s in part.sequences if s.step != step)))


def _nine_bit_tables() -> Architecture:
    """16K pages whose tables have 512 entries, everything else in keeping with that."""
    (mode,) = ARM_16K.modes
    levels = tuple(replace(level, bits=9, shift=14 + 9 * depth) for depth, level in enumerate(reversed(mode.levels)))
    return in_mode(
        ARM_16K,
        levels=levels[::-1],
        va_bits=14 + 9 * len(levels),
        direct_map_size=1 << 40,
        vmemmap_base=(1 << 64) - (1 << 38),
    )


def _today(architecture: Architecture) -> Architecture:
    """Every kernel is said to have what one release had."""
    return replace(architecture, pgprots=tuple(replace(pgprot, releases=()) for pgprot in architecture.pgprots))


def _swapped_bits(form: EntryForm) -> EntryForm:
    return fields_moved(form, {"USER": 7, "RDONLY": 6})


GEOMETRY = (
    Mutant("page_shift off by one", in_mode(X86, page_shift=13), "levels_tile_the_va"),
    Mutant("a VA one bit too narrow", in_mode(X86, va_bits=47), "levels_tile_the_va"),
    Mutant(
        "a gap between two levels",
        at_levels(X86, lambda level: replace(level, shift=31) if level.name == "pud" else level),
        "levels_tile_the_va",
    ),
    Mutant("an index mask of 0x1FF for every granule", at_levels(ARM_16K, _slipshod), "levels_tile_the_va"),
    Mutant("tables of 512 entries for every granule", _nine_bit_tables(), "tables_fill_pages"),
    Mutant(
        "two levels' names swapped",
        at_levels(X86, _renamed),
        "levels_have_the_kernels_names",
        also=("hstates_are_the_huge_page_sizes",),
    ),
    Mutant("a vmemmap base that is not canonical", in_mode(X86, vmemmap_base=0xEA0000000000), "bases_are_canonical"),
    Mutant(
        "a vmemmap that begins inside a leaf of its own",
        in_mode(X86, vmemmap_base=0xFFFFEA0000001000),
        "the_vmemmap_begins_with_a_leaf",
        also=("known_figures_hold",),
    ),
    Mutant(
        "a vmemmap inside the direct map",
        in_mode(X86, vmemmap_base=0xFFFF890000000000),
        "direct_map_and_vmemmap_are_apart",
    ),
    Mutant(
        "a vmemmap base that another kernel had", in_mode(X86, vmemmap_base=0xFFFFEB0000000000), "known_figures_hold"
    ),
    Mutant(
        "a huge page size of three entries",
        in_mode(X86, huge_page_levels=(("pmd", 3), ("pud", 1))),
        "huge_page_sizes_can_be_mapped",
        also=("savings_follow_the_formula",),
    ),
    Mutant(
        "a huge page size twice, by its entries and by the level above",
        in_mode(X86, huge_page_levels=(("pmd", 1), ("pmd", 512), ("pud", 1))),
        "huge_page_sizes_can_be_mapped",
    ),
    Mutant(
        "contiguous runs of half their length",
        in_mode(ARM, huge_page_levels=(("pte", 8), ("pmd", 1), ("pmd", 16), ("pud", 1))),
        "known_figures_hold",
    ),
    Mutant(
        "no field says that an entry is one of a run",
        replace(ARM, run_fields=()),
        "a_run_of_entries_has_a_field_that_marks_it",
    ),
)

ENTRIES = (
    Mutant("a level without tables", in_forms(SV39, lambda _: None, TABLE, "pmd"), "every_level_has_its_forms"),
    Mutant("a PA six bits too narrow", in_mode(X86, pa_bits=46), "addresses_fill_the_pa_width"),
    Mutant(
        "a 2 MiB leaf that may begin at any MiB",
        in_forms(X86, lambda form: replace(form, address=(AddressPart(20, 32, 20),)), LEAF, "pmd"),
        "addresses_fill_the_pa_width",
    ),
    Mutant(
        "a superpage that need not be aligned",
        in_forms(SV39, lambda form: replace(form, address=(AddressPart(10, 44, 12),)), LEAF, "pmd"),
        "addresses_fill_the_pa_width",
    ),
    Mutant(
        "NAPOT taken for an address bit",
        in_forms(SV39, _wide, LEAF, "pte"),
        "addresses_fill_the_pa_width",
        also=("decoding_undoes_encoding", "pfn_pte_and_pte_pfn"),
    ),
    Mutant(
        "the high PA bits of 64K forgotten",
        in_forms(ARM_64K52, lambda form: replace(form, address=form.address[:1]), LEAF, "pte"),
        "addresses_fill_the_pa_width",
    ),
    Mutant(
        "LPA2's address bits left in SH",
        in_forms(
            ARM_LPA2, lambda form: replace(form, fields=(*form.fields, Field("SH", 8, 2, "shareability"))), LEAF, "pte"
        ),
        "every_bit_has_one_meaning",
    ),
    Mutant(
        "LPA2's two high bits the wrong way round",
        in_forms(
            ARM_LPA2,
            lambda form: replace(form, address=(form.address[0], AddressPart(8, 1, 51), AddressPart(9, 1, 50))),
            LEAF,
            "pte",
        ),
        "known_entries_decode_correctly",
    ),
    Mutant(
        "big-endian entries where they are little-endian",
        replace(X86, entry_byte_order="big"),
        "known_bytes_are_in_the_byte_order_of_entries",
        also=("known_entries_decode_correctly", "known_entries_have_their_pgprot"),
    ),
    Mutant(
        "0b10 taken for valid",
        in_mode(ARM, format=replace(ARM.modes[0].format, valid=Match(0b10, 0b10))),
        "the_description_is_sound",
    ),
    Mutant(
        "the valid bit off by one",
        in_mode(SV39, format=replace(SV39.modes[0].format, valid=Match(_R, _R))),
        "the_description_is_sound",
    ),
    Mutant(
        "a block told as a table is",
        in_forms(ARM, lambda form: replace(form, recognize=(Match(0b11, 0b11),)), LEAF, "pmd"),
        "table_leaf_and_none_are_never_confused",
        also=(
            "pgprots_stand_where_they_are_used",
            "leaf_and_table_predicates",
            "a_split_and_its_merge_keep_every_translation",
        ),
    ),
    Mutant(
        "reserved bits of a 2 MiB leaf taken for ignored",
        in_forms(
            X86,
            lambda form: replace(form, fields=(*form.fields, Field("IGNORED_20_13", 13, 8, "ignored"))),
            LEAF,
            "pmd",
        ),
        "known_entries_decode_correctly",
    ),
    Mutant("reserved bits not looked at", _lenient(), "every_reserved_encoding_is_refused"),
    Mutant(
        "W without R taken for a leaf",
        in_forms(
            SV57,
            lambda form: replace(form, recognize=(*form.recognize, Match(_V | _R | _W | _X, _V | _W | _X))),
            LEAF,
            "pte",
        ),
        "known_entries_decode_correctly",
    ),
    Mutant(
        "a field off by one everywhere, in the format, the MMU and the pgprots alike",
        in_mmu(in_every_form(ARM, _swapped_bits), write=Permission(Match(1 << 6, 0), ARM.mmu.write.tables)),
        "known_entries_have_their_pgprot",
    ),
    Mutant(
        "one name for two fields",
        in_every_form(X86, lambda form: renamed(form, "SOFTW2", "SOFTW1")),
        "every_bit_has_one_meaning",
        also=("encoding_undoes_decoding",),
    ),
    Mutant(
        "SME's bit where NX is",
        in_feature(X86, "sme", adds=(Field("C", 63, 1, "encrypted"),)),
        "the_description_is_sound",
    ),
)

PROTECTIONS = (
    Mutant(
        "RDONLY inverted",
        in_mmu(ARM, write=Permission(Match(_RDONLY, _RDONLY), ARM.mmu.write.tables)),
        "page_kernel_can_be_read_and_written",
    ),
    Mutant("writable = parent or own", _parent_or_own(), "permissions_are_those_of_leaf_and_tables"),
    Mutant("AF taken for AP", in_mmu(ARM, accessed=Match(1 << 6, 1 << 6)), "kernel_pages_need_no_flag_fault"),
    Mutant("AF left out of PAGE_KERNEL", in_pgprots(ARM, KERNEL, drop=("AF",)), "kernel_pages_need_no_flag_fault"),
    Mutant("PAGE_KERNEL_RO that is RW", in_pgprots(X86, RO, add=values("RW")), "page_kernel_ro_is_read_only"),
    Mutant(
        "PAGE_KERNEL_RO with Dirty set",
        in_pgprots(X86, RO, drop=("D",), add=values("D")),
        "read_only_pages_are_not_shadow_stacks",
    ),
    Mutant(
        "what one release had given to all",
        _today(X86),
        "read_only_pages_are_not_shadow_stacks",
        beside=("reference_values_name_declared_items",),
    ),
    Mutant(
        "PAGE_KERNEL_READ that may be written",
        replace(
            SV57,
            pgprots=tuple(
                replace(pgprot, fields=(*pgprot.fields, ("W", 1))) if pgprot.name == "PAGE_KERNEL_READ" else pgprot
                for pgprot in SV57.pgprots
            ),
        ),
        "page_kernel_ro_is_read_only",
    ),
    Mutant(
        "PAGE_KERNEL_LARGE that is read-only",
        in_pgprots(X86, LARGE, drop=("RW",)),
        "page_kernel_can_be_read_and_written",
        also=("large_leaves_are_as_permissive_as_pages",),
    ),
    Mutant(
        "tables that deny writes",
        in_pgprots(X86, PgprotRole.TABLE, drop=("RW",)),
        "page_kernel_can_be_read_and_written",
    ),
    Mutant(
        "the dirty flag taken for the accessed one", in_mmu(X86, dirty=Match(_A, _A)), "write_dirty_and_young_are_apart"
    ),
    Mutant("the dirty flag off by one", in_mmu(X86, dirty=Match(1 << 7, 1 << 7)), "permission_patterns_name_fields"),
    Mutant(
        "the dirty flag taken for the write permission",
        in_mmu(SV57, write=Permission(Match(1 << 7, 1 << 7))),
        "page_kernel_ro_is_read_only",
        beside=("write_dirty_and_young_are_apart",),
    ),
    Mutant(
        "the dirty flag where no field is",
        in_mmu(SV57, dirty=Match(1 << 60, 0)),
        "permission_patterns_name_fields",
        also=("pte_mkdirty_and_pte_mkclean", "pmd_mkdirty_and_pmd_mkclean"),
    ),
    Mutant("G kept under PTI", in_feature(X86, "pti", clears=()), "every_feature_changes_something"),
    Mutant("PTI drops another bit than G", in_feature(X86, "pti", clears=("PCD",)), "known_entries_have_their_pgprot"),
    Mutant(
        "reading and writing taken for one permission",
        in_mmu(SV57, write=Permission(Match(_R | _W, _R | _W))),
        "pte_mkwrite_and_pte_wrprotect",
        also=("pmd_mkwrite_and_pmd_wrprotect",),
    ),
    Mutant(
        "the valid bit taken for the accessed flag",
        in_mmu(SV57, accessed=Match(_V, _V)),
        "pte_mkyoung_and_pte_mkold",
        also=("pmd_mkyoung_and_pmd_mkold",),
    ),
    Mutant("KPTI without nG", in_feature(ARM, "kpti", sets=values("GP")), "known_entries_have_their_pgprot"),
    Mutant(
        "no UXNTABLE in tables",
        in_pgprots(ARM, PgprotRole.TABLE, drop=("UXNTABLE",)),
        "known_entries_have_their_pgprot",
    ),
    Mutant("PSE kept on split", in_pgprots(X86, KERNEL, add=values("PAT")), "a_split_drops_what_marks_a_large_leaf"),
    Mutant(
        "CONT kept on split",
        in_pgprots(ARM, KERNEL, add=values("CONT")),
        "vmemmap_entries_are_not_marked_as_a_run",
    ),
)

BEHAVIOR = (
    Mutant(
        "flush_tlb_all() that does nothing",
        in_traits(X86, flush_all_effective=False),
        "flush_tlb_all_forgets_everything",
    ),
    Mutant("faults that no register tells of", in_mmu(X86, syndrome=_nothing), "a_store_to_a_tail_faults"),
    Mutant(
        "live entries replaced where a TLB may hold them",
        in_traits(ARM, uncached_without_accessed=False),
        "live_entries_are_replaced_as_the_rule_allows",
    ),
    Mutant("the bytes of another instruction", _sequence("flush_page", code="0f013e"), "every_sequence_is_its_text"),
    Mutant("an instruction cut short", _sequence("load", code="488b"), "every_sequence_is_its_text"),
    Mutant(
        "guest text that can be written",
        in_pgprots(X86, PgprotRole.KERNEL_EXEC, add=values("RW", "D")),
        "guest_text_is_executed_and_not_written",
    ),
    Mutant(
        "guest text in the direct map",
        in_mode(X86, text_base=0xFFFF888081000000),
        "guest_text_is_outside_direct_map_and_vmemmap",
    ),
    Mutant(
        "a walker that leaves the accessed flags of tables alone",
        in_mmu(X86, table_accessed=None),
        "accesses_match_the_prediction",
    ),
    Mutant(
        "pages of user space that the supervisor may execute",
        in_mmu(SV57, execute=Permission(Match(_X, _X))),
        "accesses_match_the_prediction",
    ),
    Mutant(
        "an access flag that nobody looks at",
        in_mmu(ARM, accessed_by=UpdateRule.NOBODY),
        "accesses_match_the_prediction",
    ),
    Mutant(
        "stores that RW stops where CR0.WP is clear",
        _cpu_mode("wp=0", mmu=()),
        "accesses_match_the_prediction_in_other_cpu_modes",
    ),
    Mutant("no sequence for a full flush", _without_step("flush_all"), "the_description_is_sound"),
    Mutant("a kit that does not exist yet", replace(X86, kit="9.0"), "the_kit_release_exists"),
    Mutant(
        "an example of a mode that is not there",
        replace(X86, examples=(replace(X86.examples[0], mode="3-level"),)),
        "reference_values_name_declared_items",
    ),
)

DESCRIPTIONS = (*GEOMETRY, *ENTRIES, *PROTECTIONS, *BEHAVIOR)
