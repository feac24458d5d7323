# SPDX-License-Identifier: GPL-2.0-only
"""Replays of what the guest did between two stages: by the model, by emulated CPUs, and by the image's own code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from hvolab.errors import HvolabError
from hvolab.plugin import registry
from hvolab_boot.judging.checks import ReadStage
from hvolab_boot.judging.result import BootFinding, PairReport, VoiceReport
from hvolab_kernel import make_engine
from hvolab_vmcore.replay.replay import replay


def replay_all(
    stages: list[ReadStage], image: Path, on_step: Callable[[str], None]
) -> Iterator[tuple[PairReport, list[BootFinding]]]:
    """Yield the replays of each two stages that follow each other, and the differences as findings; a stress has none.

    image    the image whose own code repeats the steps
    on_step  is called with what is being done
    """
    ways: dict[str, dict[str, Any]] = {
        "model": {},
        "emulated": {"cpu": registry().cpu("emulated")},
        "own code": {"engine": lambda machine: make_engine(machine, image)},
    }
    for before, after in pairwise(stages):
        first, last = before.stage.core, after.stage.core
        if first is None or last is None or after.stage.done is not None:  # a stress: its order is unknown
            continue
        voices, findings, release = [], [], ""
        for voice, options in ways.items():
            on_step(f"repeating {after.stage.name}: {voice}")
            report, made_release, finding = _replay(voice, first, last, options, after.stage.name)
            voices.append(report)
            findings += [finding] if finding else []
            release = release or made_release
        yield PairReport(before.stage.name, after.stage.name, release, tuple(voices)), findings


def _replay(
    voice: str, first: Path, last: Path, options: dict[str, Any], stage: str
) -> tuple[VoiceReport, str, BootFinding | None]:
    """Return the report of one replay, the release that it models, and a finding where the two sides differ."""
    try:
        result = replay(first, last, **options)
    except HvolabError as error:
        report = VoiceReport(voice, "not run", 0, 0, str(error))
        finding = BootFinding(f"{voice}-stops", "replay", stage, 1, str(error)) if error.is_finding else None
        return report, "", finding
    compared = result.entries_compared + result.struct_pages_compared
    why = "; ".join(result.unsaved)
    report = VoiceReport(voice, result.verdict, compared, result.differences_found, why)
    if not result.differences_found:
        return report, result.choice.release.name, None
    shown = result.differences[0]
    text = f"{voice}: {shown.kind} at VA {shown.va:#x}: {shown.text}: engine {shown.engine}, kernel {shown.kernel}"
    return (
        report,
        result.choice.release.name,
        BootFinding("difference", "replay", stage, result.differences_found, text),
    )
