# SPDX-License-Identifier: GPL-2.0-only
"""Reference values of riscv: its description decodes and encodes each as it was seen."""

from __future__ import annotations

from hvolab.arch import EntryKind
from hvolab_riscv.description import RISCV
from hvolab_riscv.reference_values import EXAMPLES
from tests.arches.reference import disagreements, uncovered_modes


def test_every_example_is_decoded_and_encoded_as_it_was_seen() -> None:
    assert list(disagreements(RISCV)) == []


def test_examples_are_of_every_kind_and_figures_of_every_mode() -> None:
    assert {example.kind for example in EXAMPLES} == set(EntryKind)
    assert uncovered_modes(RISCV) == []
