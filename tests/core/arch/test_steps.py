# SPDX-License-Identifier: GPL-2.0-only
"""Contracts of the steps: named once, in a notation whose words are their inputs and outputs."""

from __future__ import annotations

import re

import pytest

from hvolab.arch import BARRIERS, STEP_BY_NAME, STEPS, StepContract
from hvolab.arch.steps import ARGUMENT, ARGUMENTS, BLOCK_BYTES, DONE, RECORD, RESULT, RETURN

_NOTATION = {"for", "until", "if", "byte", "tlb", "none", "order", "stores", "walks", "fetches", "pc", "wait", "i", "j"}


def test_every_step_has_a_name_of_its_own() -> None:
    assert len(STEP_BY_NAME) == len(STEPS)
    assert all(STEP_BY_NAME[step.name] is step for step in STEPS)
    assert set(BARRIERS.values()) <= set(STEP_BY_NAME)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_an_effect_uses_inputs_outputs_and_the_words_of_the_notation(step: StepContract) -> None:
    words = set(re.findall(r"[a-z]\w*", step.effect))
    assert words <= {*_NOTATION, *step.inputs, *step.outputs}
    assert set(step.outputs) <= words
    assert len(step.inputs) <= ARGUMENTS
    assert step.summary


def test_the_block_has_room_for_arguments_result_and_records() -> None:
    assert ARGUMENT + 8 * ARGUMENTS == RESULT < DONE < RETURN < RECORD < BLOCK_BYTES
    assert STEP_BY_NAME["enter"].effect.startswith("argument0 = [block]; argument1 = [block + 8]; ")
