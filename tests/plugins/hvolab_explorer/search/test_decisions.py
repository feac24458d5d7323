# SPDX-License-Identifier: GPL-2.0-only
"""The choice where it does not matter."""

from __future__ import annotations

from hvolab_explorer.search.decisions import keep_on
from hvolab_explorer.steps.actor import Actor


def test_the_last_actor_goes_on_while_it_can() -> None:
    first, second = (Actor(number, "", lambda: None, number) for number in range(2))
    assert keep_on([first, second], second) is second
    assert keep_on([first], second) is first
    assert keep_on([first, second], None) is first
