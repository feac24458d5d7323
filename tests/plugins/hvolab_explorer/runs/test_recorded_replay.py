# SPDX-License-Identifier: GPL-2.0-only
"""A schedule that is recorded while it is replayed."""

from __future__ import annotations

from typing import Any

import pytest

from hvolab_explorer.runs.configuration import Configuration, parse_actors
from hvolab_explorer.runs.run import Explored, record_first, repeat, run
from hvolab_explorer.runs.story import in_words, remedies_in_words
from hvolab_explorer.search.spec import SearchSpec
from hvolab_report.timeline.atoms import Voice
from hvolab_report.timeline.writer import StepsWriter
from tests.machines import x86_64

pytestmark = pytest.mark.slow


def explored(actors: str) -> Explored:
    """What the exploration of actors found."""
    return run(Configuration("", "", parse_actors(actors)), x86_64(), SearchSpec("dpor", 2, 0), 60)


def marks(data: Any) -> list[tuple[int, str]]:
    """CPU and text of each stage."""
    voice = data["voices"][0]
    rows = Voice(voice, data["row_kinds"]).steps
    return [(row[1], voice["texts"][row[2]]) for name, row in rows if name == "mark"]


def test_a_finding_is_recorded_with_the_steps_of_each_cpu() -> None:
    found, writer = explored("allocate A, taker-6.11 A.64"), StepsWriter()
    record_first([found], found.target, writer)
    data = writer.data()
    assert data["voices"][0]["cpus"][:2] == ["allocate A", "taker-6.11 A.64"]
    *steps, (cpu, last) = marks(data)
    assert steps == [
        (step.actor, f"CPU{step.actor} {found.configuration.actors[step.actor]}: {step.text}")
        for step in found.findings[0].log
        if step.choice is None
    ]
    assert (cpu, last) == (1, found.findings[0].text)
    assert [each["what"] for each in data["voices"][0]["findings"]] == [last]
    prevention = found.findings[0].prevention
    assert prevention is not None
    assert prevention.step is not None
    noted = found.findings[0].log[prevention.step]
    (mark,) = (row for name, row in Voice(data["voices"][0], data["row_kinds"]).steps if name == "mark" and row[3] >= 0)
    assert data["voices"][0]["texts"][mark[2]] == f"CPU{noted.actor} allocate A: {noted.text}"
    (remedy,) = remedies_in_words(prevention, found.findings[0].log)
    assert data["voices"][0]["texts"][mark[3]] == f"{in_words(prevention, found.configuration)}; {remedy}"


def test_recording_changes_no_step() -> None:
    found = explored("allocate A, taker-6.11 A.64")
    plain = repeat([found.configuration], found.target, found.schedules[0])
    recorded = repeat([found.configuration], found.target, found.schedules[0], StepsWriter())
    assert recorded.log == plain.log
    assert recorded.texts == plain.texts


def test_without_a_finding_the_actors_are_recorded_in_order() -> None:
    found, writer = explored("optimize A, taker A.64"), StepsWriter()
    assert not found.findings
    record_first([found], found.target, writer)
    cpus = [cpu for cpu, _ in marks(writer.data())]
    assert cpus == sorted(cpus)
    assert set(cpus) == {0, 1}
