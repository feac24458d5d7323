# SPDX-License-Identifier: GPL-2.0-only
"""LoongArch64: HVO on three page sizes, tails that Linux leaves writable, the dirty bit that would protect them."""

from __future__ import annotations

import pytest

from hvolab.arch import PgprotRole, Target
from hvolab.scenario import ScenarioResult, ScenarioSpec, run_scenario
from hvolab_loongarch.description import LOONGARCH

MODES = [mode.name for mode in LOONGARCH.modes]


def ran(mode: str, profile: str) -> ScenarioResult:
    target = LOONGARCH.select(mode, profile=profile)
    return run_scenario(ScenarioSpec(target, hugepages={target.mode.huge_pages[0].size: 2}))


@pytest.mark.parametrize("mode", MODES)
def test_a_store_to_a_tail_lands_in_linux_and_the_description_foretells_it(mode: str) -> None:
    result = ran(mode, "linux")
    assert result.as_declared
    assert [finding.rule for finding in result.findings] == ["stores"]
    assert result.stores[0].at_head


@pytest.mark.parametrize("mode", MODES)
def test_a_store_to_a_tail_raises_the_page_modification_exception_where_tails_are_clean(mode: str) -> None:
    result = ran(mode, "strict")
    assert result.findings == {}
    assert result.stores[0].faulted == result.stores[0].tried == 7
    assert "ecode=0x4" in result.stores[0].fault


@pytest.mark.parametrize("mode", MODES)
def test_seven_of_eight_frames_are_saved_whatever_the_page_size_is(mode: str) -> None:
    assert ran(mode, "linux").frames_saved == 14


def test_an_entry_with_the_write_bit_alone_is_not_writable() -> None:
    target: Target = LOONGARCH.select()
    kernel = target.leaf("pte", 0x54E4, PgprotRole.KERNEL)
    write, dirty = 1 << 8, 1 << 1
    assert target.allowed(kernel, ()) & 2
    assert not target.allowed(kernel & ~dirty, ()) & 2
    assert target.allowed(kernel & ~write, ()) & 2  # bit 8 is the kernel's own
