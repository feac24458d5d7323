# SPDX-License-Identifier: GPL-2.0-only
"""Errors: a stable code for each kind, and one phrase each for fault, place, rule and hint."""

from __future__ import annotations

import pytest

from hvolab.errors import (
    AbsentMemoryError,
    CoreFileError,
    HvolabError,
    KernelBug,
    MachineError,
    OwnershipError,
    UsageError,
)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (UsageError, "usage"),
        (AbsentMemoryError, "absent-memory"),
        (CoreFileError, "core-file"),
        (KernelBug, "kernel-bug"),
        (HvolabError, "error"),
    ],
)
def test_the_code_is_the_name_of_the_class_in_words(kind: type[HvolabError], code: str) -> None:
    assert kind.code == kind("wrong").code == code


def test_an_error_is_its_parts_in_their_order() -> None:
    error = UsageError("7 is odd", where="here", rule="manual 1", hint="use 8")
    assert str(error) == "7 is odd; where: here; rule: manual 1; hint: use 8"
    assert error.parts == {"where": "here", "rule": "manual 1", "hint": "use 8"}
    assert str(UsageError("7 is odd", hint="use 8")) == "7 is odd; hint: use 8"


def test_only_errors_about_the_modeled_kernel_are_findings() -> None:
    kinds: list[type[HvolabError]] = [OwnershipError, KernelBug, UsageError, MachineError, HvolabError]
    assert [kind.__name__ for kind in kinds if kind.is_finding] == ["OwnershipError", "KernelBug"]
