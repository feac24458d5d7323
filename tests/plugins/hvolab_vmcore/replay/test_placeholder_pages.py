# SPDX-License-Identifier: GPL-2.0-only
"""Placeholders for struct pages that a core does not hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from hvolab.hvo import Hvo
from hvolab_vmcore.core.snapshot import open_snapshot
from hvolab_vmcore.replay.machine import build_core_machine
from hvolab_vmcore.replay.placeholder_pages import placeholder_struct_pages
from hvolab_vmcore.replay.plan import plan_of
from hvolab_vmcore.replay.replay import replay
from hvolab_vmcore.scan.scan import scan
from tests.plugins.hvolab_vmcore.changed_cores import BOOT, OPTIMIZED_1G, OPTIMIZED_2M, RESTORED, changed, scanned


@pytest.mark.slow
def test_a_head_page_that_the_core_before_does_not_hold_is_an_empty_placeholder(tmp_path: Path) -> None:
    content = changed(OPTIMIZED_1G, {}, tmp_path / "changed.core").read_bytes()
    head, elsewhere = ((frame * 4096).to_bytes(8, "little") for frame in (0x5461, 0x7000))
    (tmp_path / "changed.core").write_bytes(content.replace(head, elsewhere, 1))  # p_paddr of the head's segment
    outcome = replay(tmp_path / "changed.core", RESTORED)
    assert outcome.differences == ()
    assert (0x6800, 9) in outcome.plan.restored
    assert any(one.count == 1 and "an empty placeholder is used" in one.why for one in outcome.left_out)


def test_placeholders_for_a_kernels_code_do_not_change_the_comparison() -> None:
    model, other = (replay(BOOT, OPTIMIZED_2M, engine=engine) for engine in (None, Hvo))
    assert (other.differences, other.entries_compared) == ((), model.entries_compared)
    assert other.struct_pages_compared == model.struct_pages_compared
    # assumptions are made for all frames that a leaf maps, not only for those that the model checks
    assert [one.count for one in model.left_out][:1] == [65]
    assert [one.count for one in other.left_out][:1] == [512]
    assert other.left_out[1:] == model.left_out[1:]


def test_struct_pages_of_new_frames_exist_within_the_context_only() -> None:
    start = scan(open_snapshot(BOOT))
    core = build_core_machine(start)
    machine, pfn = core.machine, core.new_frames.first
    va = machine.struct_pages.va(pfn)
    assert machine.tables.frame_of(va) is None
    with placeholder_struct_pages(core, start, plan_of(start, scanned(OPTIMIZED_2M))):
        core.records.allocated(pfn, 1)
        assert machine.struct_pages.word(pfn, 0) == 0
    assert machine.tables.frame_of(va) is None
    assert core.records.provide is None
