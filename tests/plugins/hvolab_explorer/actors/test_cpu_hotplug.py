# SPDX-License-Identifier: GPL-2.0-only
"""Locks of CPU hotplug."""

from __future__ import annotations

from tests.plugins.hvolab_explorer.worlds import explored


def test_a_change_of_the_static_key_comes_before_or_after_the_hotplug() -> None:
    result = explored("add A, cpu-hotplug")
    assert (result.complete, list(result.findings), len(result.classes)) == (True, [], 2)
