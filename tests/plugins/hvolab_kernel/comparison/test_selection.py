# SPDX-License-Identifier: GPL-2.0-only
"""Selection of targets and scenarios."""

from __future__ import annotations

import pytest

from hvolab.errors import UsageError
from hvolab.plugin import registry
from hvolab.release.releases import V6_1, V6_12
from hvolab_kernel.comparison.scenarios import scenarios_of
from hvolab_kernel.comparison.selection import (
    chosen_scenarios,
    comparable,
)


def test_an_unknown_name_of_a_scenario_is_refused() -> None:
    target = registry().architecture("x86_64").select()
    with pytest.raises(UsageError, match="no scenario's name contains 'nothing'"):
        chosen_scenarios(scenarios_of(target), ["nothing"])
    assert chosen_scenarios(scenarios_of(target), None) == scenarios_of(target)
    chosen = chosen_scenarios(scenarios_of(target), ["2M boot"])
    assert {one.name.split(":")[0] for one in chosen} == {"2M boot"}  # not 32M


def test_scenarios_that_do_not_apply_to_a_kernel_are_left_out() -> None:
    scenarios = scenarios_of(registry().architecture("x86_64").select())
    assert comparable(scenarios, V6_12.variant, batches=True) == scenarios
    without_lists = comparable(scenarios, V6_12.variant, batches=False)
    assert not any(one.takes_lists for one in without_lists)
    assert {one.name for one in without_lists} - {
        one.name for one in comparable(scenarios, V6_1.variant, batches=False)
    } == {one.name for one in without_lists if one.name.endswith("optimize twice")}
