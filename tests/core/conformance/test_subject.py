# SPDX-License-Identifier: GPL-2.0-only
"""Subjects: what each scope is made for."""

from __future__ import annotations

import pytest

from hvolab.conformance.subject import Scope, Subject, subjects
from hvolab.errors import UsageError
from tests.core.conformance.mutants import SV39, X86


def words(scope: Scope) -> list[str]:
    return [str(subject) for subject in subjects(SV39, scope)]


def test_an_architecture_is_one_subject_and_each_mode_is_one() -> None:
    assert words(Scope.ARCHITECTURE) == ["riscv"]
    assert words(Scope.MODE) == ["riscv Sv39"]


def test_features_are_tried_singly_and_profiles_with_each_release() -> None:
    features = [f"riscv Sv39 +{feature.name}" for feature in SV39.features]
    assert words(Scope.FORMAT) == ["riscv Sv39", *features]
    targets = words(Scope.TARGET)
    assert len(targets) == len(SV39.profiles) * len(SV39.releases) + len(features)
    assert {"riscv Sv39", "riscv Sv39 strict 6.12", *features} <= set(targets)


def test_choices_that_change_nothing_are_not_distinct() -> None:
    distinct, targets = (list(subjects(X86, scope)) for scope in (Scope.DISTINCT, Scope.TARGET))
    assert str(distinct[0]) == "x86_64 4-level"
    assert set(map(str, distinct)) < set(map(str, targets))
    seen = [subject.target for subject in distinct]
    resolved = [(target.mode, target.traits, target.mmu, target.tails_fault) for target in seen]
    assert all(one not in resolved[:position] for position, one in enumerate(resolved))


def test_the_default_is_the_choice_of_a_mode_alone() -> None:
    assert not Subject(X86, "4-level").choice
    chosen = Subject(X86, "4-level", "linux", "6.1", ("pti",))
    assert chosen.choice
    assert (chosen.choice, str(chosen)) == ("linux 6.1 +pti", "x86_64 4-level linux 6.1 +pti")
    assert chosen.target.features == ("pti",)


def test_a_mode_that_is_not_declared_cannot_be_selected() -> None:
    with pytest.raises(UsageError, match="9-level"):
        _ = Subject(X86, "9-level").mode
