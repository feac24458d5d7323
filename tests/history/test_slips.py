# SPDX-License-Identifier: GPL-2.0-only
"""Slips of kernel developers are caught, and harmless edits stay quiet: the real file, edited, over a real image."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from hvolab_kernel.commands.compare import Selection, Subject, run_comparison
from hvolab_kernel.commands.options import Against
from hvolab_kernel.comparison import scenarios_of
from hvolab_kernel.comparison.comparer import KernelComparison
from hvolab_kernel.comparison.selection import chosen_scenarios, quick_scenarios
from tests.history.slips import HARMLESS, SLIPS, Harmless, Slip
from tests.kernel_images import images_directory
from tests.machines import x86_64
from tests.plugins.hvolab_kernel.objects.developer_objects import object_of
from tests.samples import one_in

pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")

IMAGE = "x86_64-6.12"
#: Scenarios in which harmless edits are tried; all of --quick with the mark `long`.
USUAL = ["2M boot: optimize", "2M boot: restore next to", "2M buddy: batch below three PMDs"]


#: A function with its file and line.
_PLACE = re.compile(r"\w+\+0x\w+ \(\w+/\w+\.[ch]:\d+\)")


def compared(image: str, path: Path, selection: Selection, against: Against = Against.MODEL) -> KernelComparison[Any]:
    """Run an object over an image."""
    subject = Subject(images_directory() / f"{image}.image", path, against=against)
    return run_comparison(subject, selection, 1)[1]


def reports(image: str, edits: Mapping[str, str], selection: Selection) -> list[str]:
    """Return all that is reported of an edited file: differences, broken rules and findings."""
    result = compared(image, object_of(image, edits), selection)
    differences = [one for case in result.disagreements.values() for one in case]
    broken = [str(one) for case in result.broken.values() for one in case if not one.known]
    return [*map(str, differences), *broken, *(str(one) for one in result.findings if not one.fault)]


def check(image: str, slip: Slip, selection: Selection) -> None:
    found = reports(image, slip.edits, selection)
    if slip.needs or (slip.same_on and image.startswith(slip.same_on)):
        assert found == []
    else:
        assert any(slip.caught in one for one in found), found[:5]
        assert any(map(_PLACE.search, found)), found[:5]


def check_quiet(image: str, harmless: Harmless, selection: Selection) -> None:
    path = object_of(image, harmless.edits, harmless.cc or None)
    result = compared(image, path, selection)
    assert result.breaking == ()
    assert [one for one in result.findings if not one.fault] == []
    assert (result.disagreements == {}) is harmless.model
    alone = compared(image, path, selection, Against.RULES)
    assert alone.breaking == ()
    assert alone.cases == result.cases


def sampled(edits: Sequence[Slip | Harmless]) -> list[Any]:
    """Return edits as parameters: each takes a second or two."""
    return one_in(5, edits, lambda edit: edit.name)


@pytest.mark.slow
@pytest.mark.parametrize("slip", sampled(SLIPS))
def test_a_slip_is_caught(slip: Slip) -> None:
    check(IMAGE, slip, Selection([slip.scenario]))


@pytest.mark.slow
@pytest.mark.parametrize("harmless", sampled(HARMLESS))
def test_a_harmless_edit_breaks_no_rule(harmless: Harmless) -> None:
    check_quiet(IMAGE, harmless, Selection(USUAL))


@pytest.mark.long
@pytest.mark.parametrize("slip", SLIPS, ids=lambda slip: slip.name)
@pytest.mark.parametrize("image", [IMAGE, "riscv64-6.12"])
def test_a_slip_is_caught_by_the_quick_scenarios(image: str, slip: Slip) -> None:
    check(image, slip, Selection(quick=True))


@pytest.mark.long
@pytest.mark.parametrize("harmless", HARMLESS, ids=lambda harmless: harmless.name)
@pytest.mark.parametrize("image", [IMAGE, "riscv64-6.12"])
def test_a_harmless_edit_breaks_no_rule_in_the_quick_scenarios(image: str, harmless: Harmless) -> None:
    check_quiet(image, harmless, Selection(quick=True))


def test_there_are_enough_and_each_has_a_name_of_its_own() -> None:
    assert len([slip for slip in SLIPS if not slip.needs]) >= 20
    assert len(HARMLESS) >= 5
    names = [one.name for one in (*SLIPS, *HARMLESS)]
    assert len(set(names)) == len(names)
    assert all(bool(slip.caught) is not bool(slip.needs) for slip in SLIPS)


def test_each_slip_shows_in_a_quick_scenario() -> None:
    target = x86_64()
    quick = quick_scenarios(scenarios_of(target), target.mode)
    for slip in SLIPS:
        assert chosen_scenarios(quick, [slip.scenario])
