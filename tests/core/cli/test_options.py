# SPDX-License-Identifier: GPL-2.0-only
"""Options: a target from names, completion for the shell, combinations that are refused."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from hvolab.cli.options import (
    engine_of,
    host_architecture,
    select_target,
    split_names,
    target_as_dict,
    target_in_words,
)
from hvolab.errors import UsageError
from hvolab.release import DEFAULT, RELEASES
from tests.core.cli.conftest import Invoke, Spawn


def test_features_are_repeated_or_separated_by_commas() -> None:
    assert split_names(None) == ()
    assert split_names(["pti, sme", "kpti", ","]) == ("pti", "sme", "kpti")
    target = select_target("amd64", None, None, None, ["pti, sme", "pti"])
    assert target.features == ("pti", "sme")
    assert target_as_dict(target)["features"] == ["pti", "sme"]
    assert target_in_words(target) == "x86_64, 4-level, profile linux, kernel 6.12, pti, sme"


@pytest.mark.parametrize(("machine", "name"), [("AARCH64", "arm64"), ("riscv64", "riscv"), ("alpha", "arm64")])
def test_the_hosts_architecture_is_the_default(monkeypatch: pytest.MonkeyPatch, machine: str, name: str) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert host_architecture().name == name  # the first by name on a host that no plugin describes


def test_help_names_the_releases_of_the_table(invoke: Invoke) -> None:
    for command in ("run", "pte"):
        text = " ".join(invoke(command, "--help").stdout.split())
        assert f"Kernel release to model: {', '.join(map(str, RELEASES))}; by default {DEFAULT}." in text


def test_an_image_is_for_a_kernels_own_engine() -> None:
    assert engine_of("model", None) is None
    with pytest.raises(UsageError, match="--image requires --engine kernel"):
        engine_of("model", Path("vmlinuz"))


def test_the_shell_completes_names_of_architectures_cpus_and_engines(spawn: Spawn) -> None:
    for words, expected in (("run --arch x", "x86_64"), ("run --cpu m", "model"), ("run --engine m", "model")):
        found = spawn(_HVOLAB_COMPLETE="complete_bash", COMP_WORDS=f"hvolab {words}", COMP_CWORD="3")
        assert expected in found.stdout.split()
