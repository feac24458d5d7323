# SPDX-License-Identifier: GPL-2.0-only
"""Stories of schedules."""

from __future__ import annotations

from hvolab.cli.output import as_text
from hvolab_explorer.exploration import Prevention, Remedy
from hvolab_explorer.runs.configuration import Configuration, parse_actors
from hvolab_explorer.runs.story import in_words, remedies_in_words, story
from hvolab_explorer.steps.actor import Step

PAIR = Configuration("", "", parse_actors("optimize A, restore B"))


def test_each_actor_has_a_lane_and_the_middle_of_a_long_run_is_one_line() -> None:
    log = [Step(0, f"step {number}") for number in range(9)]
    log += [Step(1, "allocate"), Step(1, "an allocation succeeds", 0), Step(1, "an allocation fails", 1)]
    text = as_text(story(PAIR, log)).splitlines()
    assert text[0].split() == ["CPU0:", "optimize", "A", "CPU1:", "restore", "B"]
    shown = [line.strip() for line in text[2:]]
    tail = [f"step {number}" for number in range(5, 9)]
    assert shown == ["step 0", "... 4 more steps ...", *tail, "allocate", "an allocation fails"]


def test_the_step_that_another_order_can_replace_is_marked_and_shown() -> None:
    log = [Step(0, f"step {number}") for number in range(12)]
    prevention = Prevention(4, (1, 0), 7)
    text = as_text(story(PAIR, log, prevention)).splitlines()
    shown = [line.strip() for line in text[2:]]
    tail = [f"step {number}" for number in range(8, 12)]
    assert shown[:-2] == ["step 0", "... 3 more steps ...", "» step 4", "... 3 more steps ...", *tail]
    assert " ".join(shown[-2:]) == f"» {in_words(prevention, PAIR)}"


def test_what_was_tried_is_said_in_words() -> None:
    instead = "restore B, then optimize A in its place, each to its end"
    last = f"last step that another order can replace: with {instead}, nothing is found"
    assert in_words(Prevention(4, (1, 0), 7), PAIR) == f"{last}; after it 7 orders were tried, and each has a finding"
    assert in_words(Prevention(9, (1, 0), 0), PAIR) == last
    none = "5 orders were tried, and each has a finding"
    assert in_words(Prevention(None, (), 5), PAIR) == f"no step that another order can replace: {none}"
    assert in_words(Prevention(None, (), 5, whole=False), PAIR) == f"not decided: {none}"
    assert not in_words(Prevention(None, (), 0), PAIR)
    assert not in_words(None, PAIR)
    locks = (("mmap_lock", "page_table_lock"), ())
    known = Prevention(9, (1, 0), 0, locks=locks)
    assert in_words(known, PAIR) == f"{last}; locks before it: CPU0 mmap_lock and page_table_lock, CPU1 none"


def test_what_prevents_it_in_the_order_of_the_schedule_has_a_line_each() -> None:
    log = [Step(number % 2, f"step {number}") for number in range(9)]
    remedies = (Remedy("flush", None, None, 5), Remedy("grace-period", 1, 3, 7), Remedy("store-barrier", 0, 2, 4))
    assert remedies_in_words(Prevention(None, (), 5, remedies=remedies), log) == [
        'with a TLB flush on all CPUs before "step 5" of CPU1, nothing is found',
        'with a grace period that CPU1 waits for after "step 3" of CPU1 and before "step 7" of CPU1, nothing is found',
        'with smp_wmb() on CPU0 after "step 2" of CPU0 and before "step 4" of CPU0, nothing is found',
    ]
    none = "no TLB flush, grace period or barrier between two of its steps prevents it"
    assert remedies_in_words(Prevention(None, (), 5, remedies=()), log) == [none]
    assert not remedies_in_words(Prevention(None, (), 5), log)
    assert not remedies_in_words(None, log)
