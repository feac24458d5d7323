# SPDX-License-Identifier: GPL-2.0-only
"""Trials of steps: pages whose words differ, chains that end and that do not, inputs that each contract names."""

from __future__ import annotations

import numpy as np
import pytest

from hvolab.arch import STEP_BY_NAME
from hvolab.conformance.checks.machines import small_spec
from hvolab.conformance.effects.trials import TrialPages, trials
from hvolab.machine import build_machine
from tests.core.conformance.mutants import SV39


@pytest.fixture(scope="module")
def pages() -> TrialPages:
    return TrialPages.of(build_machine(SV39.select(), small_spec(SV39.select())))


@pytest.mark.parametrize("step", sorted(set(STEP_BY_NAME) - {"enter", "leave", "wait", "handler", "jump"}))
def test_every_trial_has_the_inputs_of_the_contract(pages: TrialPages, step: str) -> None:
    tried = trials(pages, step)
    assert tried
    assert all(set(inputs) == set(STEP_BY_NAME[step].inputs) for inputs in tried)


def test_words_of_data_all_differ(pages: TrialPages) -> None:
    pages.fill()
    memory = pages.machine.memory
    words = memory.word_view(pages.b - pages.machine.virt(0), pages.machine.target.mode.page_size // 8 * 2)
    assert np.unique(words).size == words.size


def test_one_chain_ends_and_another_does_not(pages: TrialPages) -> None:
    pages.fill()
    links = [pages.word(pages.d)]
    while links[-1] != pages.d:
        links.append(pages.word(links[-1]))
    assert links == [pages.d + 64, pages.d + 128, pages.d]
    assert pages.word(pages.d + 512) == pages.d + 512


def test_pages_are_filled_again_with_the_same(pages: TrialPages) -> None:
    pages.fill()
    before = pages.word(pages.b)
    pages.machine.memory.write_word(pages.b - pages.machine.virt(0), before + 1)
    pages.fill()
    assert pages.word(pages.b) == before
