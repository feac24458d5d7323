# SPDX-License-Identifier: GPL-2.0-only
"""The summary: scores by architecture and mode, and why something was not proved."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hvolab.arch import LiveEntryRule, PgprotRole
from hvolab.conformance.checks import CHECKS, algebra, behavior, emulation, made, protections, reference_values
from hvolab.conformance.subject import Subject, subjects
from hvolab.conformance.summary import Summary
from hvolab.conformance.version import KIT
from hvolab.serialize import as_data
from tests.core.conformance.kit import outcomes
from tests.core.conformance.mutants import SV39, X86
from tests.core.conformance.slips import in_pgprots, in_traits
from tests.schemas import fitting

WRITING = ("page_kernel_can_be_read_and_written", "known_entries_have_their_pgprot")

#: x86-64 with powerpc's rule for live entries.
STRICT_ORDER = in_traits(X86, live_entries=LiveEntryRule.MARK_INVALID)


def summary(*, wrong: bool = False) -> Summary:
    x86 = in_pgprots(X86, PgprotRole.KERNEL_RO, add=(("RW", 1),)) if wrong else X86
    found = [
        *outcomes(x86, algebra.checks[-3:]),
        *outcomes(x86, protections.checks),
        *outcomes(SV39, protections.checks),
    ]
    return Summary.of(as_data(found))


def test_lines_score_each_architecture_and_give_reasons_of_skips() -> None:
    lines = list(summary().lines())
    heads = [line for line in lines if not line.startswith(" ")]
    assert [line.partition(":")[0] for line in heads] == ["x86_64", "riscv"]
    assert all("(100 %)" in line and "0 failed" in line and f"kit {KIT}" in line for line in heads)
    assert "  not proved without read-only tails:" in lines
    assert any("page_kernel_ro_is_read_only" in line for line in lines)


def test_a_failure_lowers_the_score_and_is_listed_with_its_subjects() -> None:
    lines = list(summary(wrong=True).lines())
    assert "(100 %)" not in lines[0]
    (line,) = (line for line in lines if line.startswith("  failed: page_kernel_ro_is_read_only"))
    assert "(4-level" in line
    reason = lines[lines.index(line) + 2]
    assert "PAGE_KERNEL_RO can be written" in reason
    assert "MmuRules.write looks at bit 1 (RW)" in reason


@pytest.mark.slow
def test_reports_are_in_the_order_of_the_kit_with_the_checks_that_they_block() -> None:
    wrong = in_pgprots(replace(X86, kit="9.0"), PgprotRole.TABLE, drop=("RW",))
    checks = [check for check in CHECKS if check.name in {"the_kit_release_exists", *WRITING}]
    found = [made(check, subject) for check in reversed(checks) for subject in subjects(wrong, check.scope)]
    lines = list(Summary.of(as_data(found)).lines())
    reports = [line.split()[1] for line in lines if line.startswith("  failed: ")]
    assert reports == ["the_kit_release_exists", "page_kernel_can_be_read_and_written"]
    assert "2 failed, 6 blocked" in lines[0]
    (reason,) = (line for line in lines if "cannot be written" in line)
    assert "the table entry at pmd has bit 1 (RW) not set" in reason
    assert "hint: correct the fields of _PAGE_TABLE, or MmuRules.write" in reason
    assert "      1 other checks fail too, and are blocked by it: known_entries_have_their_pgprot" in lines


def test_the_first_lines_have_what_no_check_could_see() -> None:
    few = replace(X86, examples=(X86.examples[0],))
    lines = list(Summary.of(as_data(list(outcomes(few, reference_values.checks)))).lines())
    assert lines[1:3] == [
        "  not seen: a wrong byte order of entries, as no example is given as bytes",
        "  not seen: a slip in one of them, as no example is of PAGE_KERNEL, PAGE_KERNEL_RO, _PAGE_TABLE",
    ]


def test_json_counts_by_mode_and_by_missing_capability(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    summary().write(str(path))
    report = fitting("conformance", path.read_text())
    x86, riscv = report["architectures"]
    assert (report["kit"], x86["architecture"], riscv["architecture"]) == (KIT, "x86_64", "riscv")
    assert x86["passed"] + x86["failed"] + x86["skipped"] + x86["advisory"] == len(x86["checks"])
    assert x86["percent"] == 100
    assert riscv["modes"]["Sv39"]["skipped"] == riscv["skipped"] == sum(riscv["capabilities_missing"].values())
    assert riscv["capabilities_missing"]["read-only tails"] > 0


def test_modes_without_reference_values_are_counted_in_place_of_a_hundred_percent() -> None:
    bare = replace(X86, examples=(), figures=())
    found = Summary.of(as_data(list(outcomes(bare, reference_values.checks))))
    head = next(iter(found.lines()))
    assert "checks passed, 1 mode without reference values, 0 failed" in head
    assert "wrong bases, low bits of table entries" in list(found.lines())[1]
    assert found.report().architectures[0].modes_without_reference_values == ("4-level",)


def test_a_run_without_checks_has_nothing_to_say() -> None:
    empty = Summary(())
    assert (list(empty.lines()), empty.report().architectures) == ([], ())


def test_a_kernel_that_hvo_is_not_for_is_named_in_the_first_lines() -> None:
    lines = list(Summary.of(as_data(list(outcomes(STRICT_ORDER, behavior.checks[:4])))).lines())
    assert lines[1].startswith(
        "  HVO is not for this kernel, 4-level: release 6.12 declares that it must be marked invalid"
    )
    absent = replace(X86, emulation=None, absent=(("emulation", "no emulator has it"),))
    lines = list(Summary.of(as_data(list(outcomes(absent, emulation.checks)))).lines())
    assert "absent" in lines[0]
    assert lines[-1] == "  emulation: absent on purpose: no emulator has it"


@pytest.mark.slow
def test_a_check_that_rests_on_one_that_was_not_selected_is_reported_too() -> None:
    wrong = in_pgprots(X86, PgprotRole.TABLE, drop=("RW",))
    (check,) = (check for check in CHECKS if check.name == "known_entries_have_their_pgprot")
    lines = list(Summary.of(as_data([made(check, Subject(wrong, "4-level"))])).lines())
    assert lines[1] == "  blocked: known_entries_have_their_pgprot (4-level)"
    assert "rests on page_kernel_can_be_read_and_written, which fails" in lines[2]
