# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios of a comparison."""

from __future__ import annotations

from hvolab.plugin import registry
from hvolab_kernel.comparison.scenarios import scenarios_of


def test_scenarios_have_unique_names_and_steps_on_their_own_folios() -> None:
    targets = [registry().architecture(name).select() for name in ("x86_64", "riscv", "arm64")]
    for target in (*targets, *(registry().architecture("arm64").select(mode) for mode in ("16K-48bit", "64K-48bit"))):
        scenarios = scenarios_of(target)
        assert len({one.name for one in scenarios}) == len(scenarios)
        assert any("batch" in one.name for one in scenarios)
        for one in scenarios:
            assert all(at < len(one.places) for step in (*one.prelude, *one.steps) for at in step.folios)
