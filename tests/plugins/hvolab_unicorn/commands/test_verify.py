# SPDX-License-Identifier: GPL-2.0-only
"""`--cpu emulated`: the same report as with modeled CPUs, and a clear answer to what there is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import hvolab_unicorn
from hvolab.arch import Target
from hvolab.cli.app import build_app
from hvolab.plugin import registry
from hvolab_unicorn.verify import Verification, verification
from tests.plugins.hvolab_unicorn.twins import ARCHITECTURES
from tests.plugins.hvolab_vmcore.changed_cores import CAPTURES

SMALL = ("--memory", "512M", "--json")


@pytest.fixture(autouse=True)
def announced() -> None:
    """The plugin, also in a checkout whose entry points are not installed."""
    if "emulated" not in registry().cpus():
        registry().register(hvolab_unicorn, "unicorn")


def invoke(*words: str) -> Result:
    return CliRunner().invoke(build_app(), words)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_run_on_emulated_cpus_is_reported_as_on_modeled_ones(architecture: str) -> None:
    modeled = invoke("run", "--arch", architecture, *SMALL)
    emulated = invoke("run", "--arch", architecture, *SMALL, "--cpu", "emulated")
    assert (modeled.exit_code, emulated.exit_code) == (0, 0), emulated.output
    assert json.loads(emulated.stdout) == json.loads(modeled.stdout)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_requested_operations_give_the_same_report_on_emulated_cpus(architecture: str) -> None:
    words = ("run", "--arch", architecture, *SMALL, "--hugepages", "2M=2")
    do = ("--do", "optimize, surplus 2M 2, use 2M, dissolve, resize 2M 1, free 2M 9")
    modeled, emulated = invoke(*words, *do), invoke(*words, *do, "--cpu", "emulated")
    assert (modeled.exit_code, emulated.exit_code) == (0, 0), emulated.output
    assert json.loads(emulated.stdout) == json.loads(modeled.stdout)
    assert len(json.loads(emulated.stdout)["operations"]) == 6


def test_a_replay_on_an_emulated_cpu_finds_no_difference() -> None:
    cores = [str(CAPTURES / "x86_64-6.12-4level" / f"{stage}.core.xz") for stage in ("0-boot", "1-optimised-2M")]
    result = invoke("replay", *cores, "--cpu", "emulated", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["differences_found"] == 0


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (("--cpu", "iron"), "no kind of CPU is called 'iron' hint: choose one of model, emulated"),
        (("--arch", "arm64", "--mode", "4K-52bit", "--cpu", "emulated"), "has no LPA2"),
        (("--arch", "riscv", "--feature", "svnapot", "--cpu", "emulated"), "no Svnapot"),
    ],
)
def test_what_there_is_not_is_told(words: tuple[str, ...], answer: str) -> None:
    result = invoke("run", "--memory", "256M", *words)
    assert result.exit_code == 2
    assert answer in " ".join(result.output.split())


@pytest.mark.slow
def test_an_interrupted_verification_shows_the_modes_that_it_has_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    verify, modes = verification.verify, ("--arch", "riscv", "--mode", "Sv39", "--mode", "Sv48")
    begun: list[str] = []

    def interrupted(target: Target, **options: Any) -> Verification:
        begun.append(target.mode.name)
        if not len(begun) % 2:
            raise KeyboardInterrupt
        return verify(target, **options)

    monkeypatch.setattr(verification, "verify", interrupted)
    result = invoke("verify", *modes)
    assert (result.exit_code, result.stderr) == (130, "interrupted: 1 of 2 modes were verified\n")
    assert begun[0] in result.stdout
    assert begun[1] not in result.stdout
    assert "1 mode," in result.stdout
    result = invoke("verify", *modes, "--json")
    assert (result.exit_code, result.stdout) == (130, "")


@pytest.mark.slow
def test_the_probes_of_one_mode_are_recorded(tmp_path: Path) -> None:
    steps = tmp_path / "steps.json"
    result = invoke("verify", "--arch", "x86_64", "--mode", "4-level", "--trace", str(steps))
    assert result.exit_code == 0, result.output
    assert "written" in result.stdout
    (voice,) = json.loads(steps.read_text("utf-8"))["voices"]
    assert voice["unknown_tlbs"] == [0, 1]
    assert len(voice["folios"]) == 2
    stages = [text for text in voice["texts"] if text.startswith("CPU1 store")]
    assert stages[0].startswith("CPU1 store to a tail, before the flush: reaches PFN")
    assert stages[1] == "CPU1 store to a tail, after the flush: faults"
    assert stages[3].startswith("CPU1 store to a tail: vector=0xe")


def test_several_modes_have_no_common_timeline(tmp_path: Path) -> None:
    result = invoke("verify", "--arch", "x86_64", "--trace", str(tmp_path / "steps.json"))
    assert result.exit_code == 2
    assert "2 modes have no common timeline" in result.output
