# SPDX-License-Identifier: GPL-2.0-only
"""Rules without a reference: slips of developers break them, harmless changes and the kernels' own files do not."""

from __future__ import annotations

import re
from typing import Any

import pytest

from hvolab_kernel.commands.compare import Selection, Subject, run_comparison
from hvolab_kernel.commands.options import Against
from hvolab_kernel.comparison.broken_rules import BrokenRule
from hvolab_kernel.comparison.comparer import KernelComparison
from tests.history.slips import HARMLESS, SLIPS, Harmless, Slip
from tests.kernel_images import images_directory
from tests.plugins.hvolab_kernel.cli_runner import hvolab
from tests.plugins.hvolab_kernel.objects.conftest import own_cache
from tests.plugins.hvolab_kernel.objects.developer_objects import kernel_of, object_of
from tests.samples import one_in

pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")
pytest.importorskip("capstone", reason="no disassembler: pip install 'hvolab[kernel]'")

__all__ = ["own_cache"]
NAME = "x86_64-6.12"
#: The rule that each of these slips breaks.
RULES = {
    "the flag is set after the head was copied": "flag_order",
    "a buddy block is not split": "completion",
    "pages are counted before they are allocated": "counters",
    "the rollback is one page short": "remapped",
    "tails stay writable": "remapped",
    "each folio of a restored list waits for a grace period": "flushes",
    "the lock is kept after a split": "completion",
    "the head page is allocated with other flags": "allocations",
    "the key keeps a folio that was not optimized": "static_key",
    "self-hosted vmemmap is freed": "completion",
    "pages are lost when one cannot be allocated": "ownership",
    "restoring without memory succeeds": "completion",
}
#: A line of the file before all headers.
_FIRST = "#define pr_fmt"
pytestmark = pytest.mark.slow


def checked(name: str, edit: Slip | Harmless | None, *scenarios: str, against: Against = Against.RULES) -> Any:
    """Run the file of an image, edited or not, over that image."""
    kernel_of(name)
    path = object_of(name, {} if edit is None else edit.edits, getattr(edit, "cc", None) or None)
    subject = Subject(images_directory() / f"{name}.image", path, against=against)
    return run_comparison(subject, Selection(list(scenarios)), 1)[1]


def counting(result: KernelComparison[Any]) -> list[BrokenRule]:
    return [one for rules in result.broken.values() for one in rules if not one.known]


@pytest.mark.parametrize("slip", one_in(2, [slip for slip in SLIPS if slip.name in RULES], lambda slip: slip.name))
def test_a_slip_breaks_a_rule(slip: Slip) -> None:
    broken = counting(checked(NAME, slip, slip.scenario))
    assert RULES[slip.name] in {one.rule for one in broken}, broken


def test_a_finding_names_functions_with_file_and_line() -> None:
    slips = {slip.name: slip for slip in SLIPS}
    for name, function in (
        ("self-hosted vmemmap is freed", "hugetlb_vmemmap_optimize_folio"),
        ("the head page is allocated with other flags", "__hugetlb_vmemmap_optimize_folio"),
    ):
        broken = counting(checked(NAME, slips[name], slips[name].scenario))
        place = re.compile(rf"\b{function}\+0x\w+ \(\w+/\w+\.[ch]:\d+\)")
        assert any(place.search(one.code) for one in broken), broken


@pytest.mark.parametrize("change", one_in(2, HARMLESS, lambda change: change.name))
def test_a_harmless_change_breaks_no_rule(change: Harmless) -> None:
    result = checked(NAME, change, "2M boot: restore next to", "2M buddy: batch below three PMDs")
    assert counting(result) == []
    assert result.clean


def test_a_change_that_behaves_differently_is_checked_by_rules_where_it_differs() -> None:
    change = next(one for one in HARMLESS if not one.model)
    result = checked(NAME, change, "2M boot: optimize", against=Against.IMAGE)
    assert result.disagreements
    assert not result.breaking


@pytest.mark.parametrize("name", ["x86_64-6.12", "riscv64-6.12", "x86_64-7.x"])
def test_the_unedited_file_breaks_only_what_its_release_breaks(name: str) -> None:
    result = checked(name, None, "2M boot: restore", "2M buddy: batch, the first optimized already")
    assert result.clean
    known = {one.rule: one.known for rules in result.broken.values() for one in rules}
    assert set(known) == (set() if name.endswith("7.x") else {"content", "freeing", "grace_periods"})
    assert all(one.startswith("known fault of the release: ") for one in known.values())


@pytest.mark.parametrize(("name", "faulty"), [("x86_64-6.12", True), ("x86_64-7.x", False)])
def test_an_image_by_itself_is_excused_from_nothing(name: str, *, faulty: bool) -> None:
    kernel_of(name)
    image = images_directory() / f"{name}.image"
    result = hvolab("kernel", image, "--against", "rules", "--scenario", "2M boot: restore next to", "--jobs", "1")
    assert result.exit_code == faulty
    assert ("Rules are broken in 1 case;" in result.stdout) is faulty
    assert ("known fault of the release: The first struct pages" in " ".join(result.stdout.split())) is faulty
    assert "disagree" not in result.stdout


@pytest.mark.parametrize("name", ["x86_64-6.12", "riscv64-6.12"])
def test_functions_of_another_name_are_found_by_their_callers(name: str) -> None:
    define = (
        "#define __hugetlb_vmemmap_optimize_folio optimize_one\n#define __hugetlb_vmemmap_restore_folio restore_one\n"
    )
    renamed = Harmless("both functions for a folio are renamed", {_FIRST: f"{define}{_FIRST}"})
    result = checked(name, renamed, "2M boot: restore a mixed list", "2M buddy: batch below one PMD")
    assert result.clean


def test_the_kernels_own_assertions_run_with_the_static_key_enabled() -> None:
    asserting = Harmless("CONFIG_DEBUG_VM", {_FIRST: f"#define CONFIG_DEBUG_VM 1\n{_FIRST}"})
    result = checked(
        NAME, asserting, "2M boot: restore next to", "2M buddy: batch below one PMD", against=Against.MODEL
    )
    assert not result.disagreements
    head = "VM_WARN_ON_ONCE(!PageHead((const struct page *)addr));"
    wrong = Harmless("an assertion that fails", {**asserting.edits, head: head.replace("!", "")})
    result = checked(NAME, wrong, "2M boot: restore next to", against=Against.RULES)
    warned = [one.what for one in counting(result) if one.rule == "report"]
    assert warned
    assert all(re.search(r"WARN.*hugetlb_vmemmap\.c:\d+", one) for one in warned), warned
