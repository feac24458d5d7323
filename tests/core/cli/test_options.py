# SPDX-License-Identifier: GPL-2.0-only
"""Options: a target from names, completion for the shell, combinations that are refused."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest
import typer

from hvolab.arch.target_data import target_as_dict
from hvolab.cli.app import build_app
from hvolab.cli.options import (
    engine_of,
    engine_setup,
    host_architecture,
    select_target,
    split_names,
    target_in_words,
)
from hvolab.errors import UsageError
from hvolab.hvo import EngineSetup, Hvo, HvoEngine
from hvolab.machine import Machine, MachineSpec, build_machine
from hvolab.plugin import registry
from hvolab.release import DEFAULT, RELEASES, release_named
from tests.core.cli.conftest import Invoke, Spawn


def test_features_are_repeated_or_separated_by_commas() -> None:
    assert split_names(None) == ()
    assert split_names(["pti, sme", "kpti", ","]) == ("pti", "sme", "kpti")
    target = select_target("amd64", None, None, None, ["pti, sme", "pti"])
    assert target.features == ("pti", "sme")
    assert target_as_dict(target)["features"] == ("pti", "sme")
    assert target_in_words(target) == "x86_64, 4-level, profile linux, kernel 6.12, pti, sme"


@pytest.mark.parametrize(("machine", "name"), [("AARCH64", "arm64"), ("riscv64", "riscv"), ("alpha", "arm64")])
def test_the_hosts_architecture_is_the_default(monkeypatch: pytest.MonkeyPatch, machine: str, name: str) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert host_architecture().name == name  # the first by name on a host that no plugin describes


def test_help_names_the_releases_of_the_table(invoke: Invoke) -> None:
    for command in ("run", "pte"):
        text = " ".join(invoke(command, "--help").stdout.split())
        assert f"Kernel release to model: {', '.join(map(str, RELEASES))}. " in text
        assert f"else {DEFAULT}. " in text


def test_an_image_is_for_a_kernels_own_engine() -> None:
    assert engine_of("model", None) is None
    with pytest.raises(UsageError, match="--image requires --engine kernel"):
        engine_of("model", Path("vmlinuz"))


class MakerOfArm64:
    """Maker of the model for an image of arm64, 16K pages, release 6.1."""

    def __call__(self, machine: Machine, _: Path | None) -> HvoEngine:
        return Hvo(machine)

    def setup(self, image: Path | None, release: str | None) -> EngineSetup:
        return EngineSetup(Hvo, "arm64", "16K-48bit", release_named(release or "6.1"), notes=(f"{image}",))


def test_a_machine_is_selected_for_the_image_of_its_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(registry()), "engine", lambda *_: MakerOfArm64())
    setup = engine_setup("any", Path("Image"), None)
    assert setup is not None
    assert setup.notes == ("Image",)
    target = select_target(None, None, None, None, None, setup)
    assert (target.architecture.name, target.mode.name, str(target.release)) == ("arm64", "16K-48bit", "6.1")
    target = select_target("aarch64", "4K-39bit", None, "7.2", None, engine_setup("any", None, "7.2"))
    assert (target.mode.name, str(target.release)) == ("4K-39bit", "7.2")
    target = select_target("x86_64", None, None, None, None, setup)
    assert target.mode.name == "4-level"  # that the image does not run there, its engine finds


def test_a_maker_without_a_setup_takes_the_machine_of_the_options(monkeypatch: pytest.MonkeyPatch) -> None:
    images: list[Path | None] = []

    def make(machine: Machine, image: Path | None) -> HvoEngine:
        images.append(image)
        return Hvo(machine)

    monkeypatch.setattr(type(registry()), "engine", lambda *_: make)
    setup = engine_setup("any", Path("Image"), "7.2")
    assert setup is not None
    target = select_target("x86_64", None, None, "7.2", None, setup)
    assert str(target.release) == "7.2"
    assert setup.make(build_machine(target, MachineSpec(memory=256 << 20))).release is target.release
    assert images == [Path("Image")]
    monkeypatch.undo()
    assert engine_setup("model", None, None) is None


@pytest.mark.slow
def test_the_shell_completes_names_of_architectures_cpus_and_engines(spawn: Spawn) -> None:
    for words, expected in (("run --arch x", "x86_64"), ("run --cpu m", "model"), ("run --engine m", "model")):
        found = spawn(_HVOLAB_COMPLETE="complete_bash", COMP_WORDS=f"hvolab {words}", COMP_CWORD="3")
        assert expected in found.stdout.split()


def completed(command: str, option: str, incomplete: str, **given: object) -> list[str]:
    """Return what the shell is offered for an option of a command after others."""
    root = typer.main.get_command(build_app())
    found = root.commands[command]  # type: ignore[attr-defined]
    (parameter,) = (each for each in found.params if each.name == option)
    context = found.make_context(command, [], resilient_parsing=True)
    context.params |= given
    return [item.value for item in parameter.shell_complete(context, incomplete)]


@pytest.mark.parametrize(
    ("command", "option", "incomplete", "given", "names"),
    [
        ("run", "mode", "4", {"arch": "x86_64"}, ["4-level"]),
        ("run", "mode", "Sv", {"arch": "riscv64"}, ["Sv39", "Sv48", "Sv57"]),
        ("run", "mode", "4-", {}, ["4-level"]),
        ("run", "mode", "4-", {"arch": "riscv"}, []),
        ("run", "profile", "", {}, ["linux", "strict"]),
        ("run", "feature", "nol", {"arch": "arm64"}, ["nolva"]),
        ("pte", "release", "6.1", {"arch": "riscv"}, ["6.1", "6.12", "6.12.117"]),
        ("pte", "level", "pm", {}, ["pmd"]),
        ("arches", "names", "ri", {}, ["riscv"]),
        ("releases", "names", "7", {}, ["7.2"]),
        ("conformance", "arch", "x", {}, ["x86_64"]),
        ("explore", "search", "p", {}, ["pct", "portfolio"]),
        ("explore", "tlb", "", {}, ["lazy", "speculative"]),
        ("explore", "memory", "w", {}, ["weak"]),
        ("explore", "allocations", "o", {}, ["ordered"]),
        ("verify", "mode", "4K-4", {"arch": ["arm64"]}, ["4K-48bit"]),
        ("inspect", "arch", "a", {}, ["arm64"]),
        ("torture", "arch", "ar", {}, ["arm64"]),
    ],
)
def test_names_are_completed_that_the_architecture_has(
    command: str, option: str, incomplete: str, given: dict[str, object], names: list[str]
) -> None:
    assert completed(command, option, incomplete, **given) == names


def test_every_option_that_takes_one_of_known_names_completes_it() -> None:
    root = typer.main.get_command(build_app())
    named = {"arch", "mode", "profile", "release", "feature", "cpu", "engine", "level", "search", "tlb", "memory"}
    lacking = [
        f"{name} --{parameter.name}"
        for name, command in root.commands.items()  # type: ignore[attr-defined]
        for parameter in getattr(command, "params", ())
        if parameter.name in named and parameter.metavar != "SIZE" and parameter._custom_shell_complete is None
    ]
    assert lacking == []
