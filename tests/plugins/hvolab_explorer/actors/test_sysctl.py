# SPDX-License-Identifier: GPL-2.0-only
"""The actors `sysctl-off` and `sysctl-on`."""

from __future__ import annotations

from tests.plugins.hvolab_explorer.worlds import alone, optimized


def test_it_switches_hvo_off() -> None:
    world = alone("sysctl-off")
    assert not world.machine.optimize_enabled
    assert world.check() == []


def test_it_switches_hvo_on_that_is_off_before() -> None:
    assert alone("sysctl-on").machine.optimize_enabled
    assert not optimized(alone("optimize A, sysctl-on"))
