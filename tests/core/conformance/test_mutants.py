# SPDX-License-Identifier: GPL-2.0-only
"""Wrong plugins: there are many, each has its check, and the descriptions they were made of are right."""

from __future__ import annotations

import pytest

from hvolab.arch import Architecture
from hvolab.conformance.checks import CHECKS
from tests.core.conformance.checks.test_emulation import FAST
from tests.core.conformance.kit import MUTANTS, failed, mutants_of
from tests.core.conformance.mutants import RIGHT
from tests.samples import one_in


def test_there_are_more_than_thirty_mutants_and_each_is_another() -> None:
    assert len(MUTANTS) >= 30
    assert len({mutant.slip for mutant in MUTANTS}) == len(MUTANTS)
    assert not any(mutant.architecture in RIGHT for mutant in MUTANTS)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", one_in(3, RIGHT, lambda right: f"{right.name}-{right.modes[0].name}"))
def test_what_the_mutants_were_made_of_is_right(architecture: Architecture) -> None:
    assert [(outcome.check, outcome.reason) for outcome in failed(architecture, FAST)] == []


def test_every_mutant_is_tried_with_the_module_of_its_check() -> None:
    assert set(mutants_of(CHECKS)) == set(MUTANTS)


def test_every_check_of_a_description_kills_a_mutant() -> None:
    killing = {name for mutant in MUTANTS for name in (mutant.check, *mutant.also)}
    assert {check.name for check in FAST} - killing == set()
