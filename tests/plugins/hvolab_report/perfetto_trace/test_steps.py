# SPDX-License-Identifier: GPL-2.0-only
"""Steps of saved data."""

from __future__ import annotations

from hvolab_report.perfetto_trace.steps import label, steps_of
from tests.plugins.hvolab_report.runs import data, recording


def test_the_steps_are_those_of_the_recording_with_their_calls() -> None:
    (voice,) = data()["voices"]
    steps = list(steps_of(voice))
    assert [step.number for step in steps] == list(range(len(recording().steps)))
    for step, recorded in zip(steps, recording().steps, strict=True):
        assert (step.name, step.cpu) == (recorded.event.name, recorded.cpu)
        names = [voice["functions"][function]["name"] for function, _ in step.calls]
        assert names == [call.function.name for call in recorded.calls]
        assert len(step.translations) == len(recorded.translations)


def test_a_step_is_named_by_the_kernel_function_that_it_stands_for() -> None:
    (voice,) = data()["voices"]
    labels = {label(voice, step) for step in steps_of(voice)}
    assert {
        "set pte",
        "set pte, not yet reachable",
        "set pmd",
        "put_page_bootmem",
        "smp_wmb",
        "flush_tlb_all",
    } <= labels
    assert not any("{" in each for each in labels)
