# SPDX-License-Identifier: GPL-2.0-only
"""Checks of reference values: right descriptions pass, and each slip fails the check that names it."""

from __future__ import annotations

import pytest

from hvolab.conformance.checks import reference_values
from tests.core.conformance.kit import assert_named, assert_right, mutants_of, slip
from tests.core.conformance.mutants import Mutant


def test_right_descriptions_pass() -> None:
    assert_right(reference_values.checks)


@pytest.mark.parametrize("mutant", mutants_of(reference_values.checks), ids=slip)
def test_a_slip_is_named_by_its_check(mutant: Mutant) -> None:
    assert_named(mutant)
