# SPDX-License-Identifier: GPL-2.0-only
"""`hvolab conformance`: the command that runs the kit, and arguments that are refused before it runs."""

from __future__ import annotations

import importlib.util
from importlib.machinery import ModuleSpec

import pytest

from tests.core.cli.conftest import Invoke


def test_an_unknown_architecture_is_refused_before_the_kit_runs(invoke: Invoke) -> None:
    result = invoke("conformance", "z80")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "no architecture is called 'z80'" in result.stderr


def test_a_missing_test_runner_is_named_with_the_extra_that_has_it(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec

    def find_others(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name == "hypothesis" else find(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", find_others)
    result = invoke("conformance", "x86_64")
    assert result.exit_code == 2
    assert "the conformance kit needs hypothesis" in result.stderr
    assert "hint: pip install 'hvolab[conformance]'" in result.stderr
