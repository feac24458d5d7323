# SPDX-License-Identifier: GPL-2.0-only
"""Judgment of a boot: Debian's 6.12.117 loses each huge page that it restores, and one report has all of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hvolab.plugin import registry
from hvolab_boot.judging.judge import judge
from hvolab_boot.qemu.machines import MACHINES, ModeOptions
from hvolab_boot.running.plan import parse_plan
from hvolab_boot.running.session import BootSpec, Session, Stage
from hvolab_vmlinux.kernel import Kernel
from tests.plugins.hvolab_boot.guests import OPTIMIZED, RESTORED, readings
from tests.plugins.hvolab_kernel.kernel_machines import X86

PLAN = parse_plan("2M=8, free", registry().architecture("x86_64").select())
SPEC = BootSpec(Path("none"), b"", MACHINES["EM_X86_64"], PLAN)
KERNEL: Any = SimpleNamespace(image=SimpleNamespace(release="6.12.117"))


def test_a_guest_that_ends_early_has_a_report_with_its_log() -> None:
    session = Session(
        stages=[Stage("boot", readings(8), OPTIMIZED)],
        log=["one", "Kernel panic - not syncing: VFS"],
        end="the kernel has panicked",
    )
    made = judge(session, SPEC, KERNEL, lambda _: None)
    assert [(one.kind, one.by) for one in made.findings] == [("early-end", "guest"), ("panic", "log")]
    assert made.log == ("one", "Kernel panic - not syncing: VFS")
    assert (made.verdict, made.pairs, made.mode) == ("problems", (), "4-level")


@pytest.mark.parametrize(
    ("log", "shown"),
    [
        ([*map(str, range(90))], [*map(str, range(50, 90))]),
        ([*map(str, range(50)), "Oops: int3: 0000", *map(str, range(60))], ["Oops: int3: 0000", *map(str, range(39))]),
    ],
    ids=["the last lines", "from the fault on"],
)
def test_the_log_of_a_guest_that_ended_early_begins_at_its_fault(log: list[str], shown: list[str]) -> None:
    session = Session(stages=[Stage("boot", readings(8), OPTIMIZED)], log=log, end="QEMU has ended")
    assert list(judge(session, SPEC, KERNEL, lambda _: None).log) == shown


@X86
@pytest.mark.parametrize(
    ("log", "verdict", "kinds"),
    [
        ([], "cannot tell", []),
        (["Kernel panic - not syncing: VFS: Unable to mount root fs"], "cannot tell", []),
        (["WARNING: CPU: 0 PID: 1 at drivers/a.c:12", "Kernel panic - not syncing: VFS"], "cannot tell", []),
        (["kernel BUG at mm/hugetlb_vmemmap.c:101!"], "problems", ["early-end", "kernel-bug"]),
    ],
    ids=["silent", "no root file system", "a warning", "a bug"],
)
def test_a_guest_that_did_not_come_to_its_plan_is_wrong_only_if_it_reports_an_error(
    real_kernel: Kernel, log: list[str], verdict: str, kinds: list[str]
) -> None:
    made = judge(Session(log=log, end="QEMU has ended"), SPEC, real_kernel, lambda _: None)
    assert (made.verdict, [one.kind for one in made.findings]) == (verdict, kinds)
    assert made.notes[0].startswith("nothing is known of this kernel's HVO, as the plan did not begin: QEMU has ended")
    assert ("it printed nothing" in made.notes[0]) == (not log)
    assert made.log == tuple(log)


def test_another_paging_mode_than_the_requested_one_is_not_decided() -> None:
    session = Session(stages=[Stage("boot", readings(8), OPTIMIZED)])
    for requested, verdict in ((None, "no problems"), ("4-level", "no problems"), ("5-level", "cannot tell")):
        made = judge(session, replace(SPEC, requested=requested), KERNEL, lambda _: None)
        told = [note for note in made.notes if note.startswith("--mode 5-level was requested, and the kernel uses 4-")]
        assert (made.verdict, len(told)) == (verdict, verdict == "cannot tell")
    spec = replace(SPEC, requested="5-level", mode=ModeOptions(needs="it needs another CPU"))
    assert any(note.endswith(": it needs another CPU") for note in judge(session, spec, KERNEL, lambda _: None).notes)


def test_memory_that_was_not_read_is_in_the_notes() -> None:
    stages = [
        Stage("boot", readings(), RESTORED),
        Stage("then", readings(), None, "it has no VMCOREINFO", ("-EINVAL",)),
    ]
    made = judge(Session(stages=stages), SPEC, KERNEL, lambda _: None)
    assert "then: memory was not read: it has no VMCOREINFO" in made.notes
    assert "then: -EINVAL" in made.notes
    assert made.stages[1].frames is None


def test_hvo_that_is_off_and_pools_that_are_missing_are_in_the_notes() -> None:
    made = judge(Session(stages=[Stage("boot", readings(hvo=0), OPTIMIZED)]), SPEC, KERNEL, lambda _: None)
    assert made.notes[0].startswith("HVO is off")
    assert "the kernel has no pool of 1G" in made.notes


def test_fewer_huge_pages_than_the_plan_names_are_in_the_notes() -> None:
    stages = [Stage("boot", readings(), RESTORED), Stage("resize 2M 8", readings(7), OPTIMIZED)]
    made = judge(Session(stages=stages), SPEC, KERNEL, lambda _: None)
    assert "resize 2M 8: the kernel has memory in one piece for 7 of 8 huge pages: see --memory" in made.notes


@pytest.mark.slow
def test_a_booted_kernel_whose_restore_is_wrong(booted: tuple[int, dict[str, Any]]) -> None:
    code, report = booted
    found = {one["kind"]: one for one in report["findings"]}
    assert code == 1
    assert {one["stage"] for one in report["findings"]} == {"shrink"}
    assert set(found) == {"bad-page", "lost-memory", "wrong-page-flags", "stale-head"}
    assert found["lost-memory"]["count"] == 8
    assert (found["stale-head"]["count"], found["wrong-page-flags"]["count"]) == (56, 56)
    assert found["bad-page"]["count"] > 8
    assert [one["voices"][0]["verdict"] for one in report["pairs"]] == ["no differences"] * 2
    assert {voice["verdict"] for one in report["pairs"] for voice in one["voices"]} == {"no differences"}
    assert report["release"] == "6.12.117"
