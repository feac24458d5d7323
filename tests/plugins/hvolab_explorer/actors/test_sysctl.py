# SPDX-License-Identifier: GPL-2.0-only
"""The actor of `sysctl-off`."""

from __future__ import annotations

from tests.plugins.hvolab_explorer.worlds import alone


def test_it_switches_hvo_off() -> None:
    world = alone("sysctl-off")
    assert not world.machine.optimize_enabled
    assert world.check() == []
