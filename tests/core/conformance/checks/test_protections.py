# SPDX-License-Identifier: GPL-2.0-only
"""Checks of protections: right descriptions pass, and each slip fails the check that names it."""

from __future__ import annotations

import pytest

from hvolab.conformance.checks import protections
from tests.core.conformance.kit import assert_named, assert_right, mutants_of, slip
from tests.core.conformance.mutants import Mutant


def test_right_descriptions_pass() -> None:
    assert_right(protections.checks)


@pytest.mark.parametrize("mutant", mutants_of(protections.checks), ids=slip)
def test_a_slip_is_named_by_its_check(mutant: Mutant) -> None:
    assert_named(mutant)
