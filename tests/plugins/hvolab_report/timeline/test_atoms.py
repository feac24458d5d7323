# SPDX-License-Identifier: GPL-2.0-only
"""Steps as atoms."""

from __future__ import annotations

from collections import Counter

from hvolab_report.timeline.atoms import Frame, Voice
from tests.plugins.hvolab_report.runs import data


def voice() -> Voice:
    """The voice of the recorded run."""
    return Voice(data()["voices"][0], data()["row_kinds"])


def test_each_entry_and_each_frame_is_an_atom() -> None:
    atoms = voice().atoms()
    kinds = Counter(name for name, _ in voice().steps)
    found = Counter(atom.key[0] for atom in atoms)
    assert found["entry.store"] > kinds["entry.store"]
    assert found["page.free"] > kinds["page.free"]
    assert found["flush.all"] == kinds["flush.all"]
    assert len({atom.key for atom in atoms}) == len(atoms)


def test_allocated_frames_are_new_and_freed_ones_are_not() -> None:
    for atom in voice().atoms():
        if atom.key[0] in {"page.allocate", "page.free"}:
            assert isinstance(atom.details["frame"], Frame)
            assert atom.new == (atom.key[0] == "page.allocate")


def test_a_voice_without_functions_of_the_model_runs_a_kernels_own_code() -> None:
    assert not voice().own_code
    assert Voice({**data()["voices"][0], "functions": []}, data()["row_kinds"]).own_code
