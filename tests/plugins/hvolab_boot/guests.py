# SPDX-License-Identifier: GPL-2.0-only
"""Readings, stages and answers of guests, for tests: memory is that of the captures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path

from hvolab_boot.guest.console import Answer
from hvolab_boot.guest.readings import HugeRun, Message, PoolCounts, Readings
from hvolab_boot.judging.checks import ReadStage
from hvolab_boot.judging.result import BootReport, StageReport
from hvolab_boot.running.session import Stage
from hvolab_vmcore.scan.releases import open_scan
from hvolab_vmcore.scan.scan import Scan

CAPTURES = Path(__file__).parents[2] / "captures"
#: 6.12.117, whose restore is wrong: eight pages of 2 MiB, and then none.
OPTIMIZED = CAPTURES / "x86_64-6.12.117-default" / "optimised.core.xz"
RESTORED = CAPTURES / "x86_64-6.12.117-default" / "restored.core.xz"
SMALL = 2 << 20

scan_of = cache(open_scan)


def readings(pages: int = 0, free: int = 1 << 30, flagged: int | None = None, **changes: object) -> Readings:
    """Return what a kernel with so many huge pages of 2 MiB reports."""
    flags = 512 * pages if flagged is None else flagged
    made = Readings(
        mem_free=free,
        cpu_lists=0,
        vmemmap={},
        pools=(PoolCounts(SMALL, pages, pages, 0),),
        hvo=1,
        huge=(HugeRun(0x5800, flags, pages, 0),) if flags else (),
        page_size=4096,
        messages=(),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def stage(name: str, core: Path | None, reported: Readings) -> ReadStage:
    """Return a stage with the memory of a core."""
    scan: Scan | None = None if core is None else scan_of(core)
    return ReadStage(Stage(name, reported, core, "" if core else "it has no VMCOREINFO"), scan)


def messages(texts: Iterable[str]) -> tuple[Message, ...]:
    return tuple(Message(1, 1.5, text) for text in texts)


class Guest:
    """A guest with files: what is written to them is kept."""

    def __init__(self, files: dict[str, str], flags: str = "", log: str = "") -> None:
        self.files, self.answers = files, {"k": flags, "m": log}

    def ask(self, command: str) -> Answer:
        text = self.answers.get(command, self.files.get(command.removeprefix("r ")))
        return Answer((), -2) if text is None else Answer(tuple(text.splitlines()), 0)


BOOTED = StageReport("boot", 4096, 0, 0, (), {"nr_memmap_pages": 7}, 1, (), {str(SMALL): 8}, 10, 56, (), "", "")


def report() -> BootReport:
    """Return the report of a boot of one stage without findings."""
    return BootReport(
        image="vmlinuz",
        kernel="6.12.117",
        architecture="x86_64",
        mode="4-level",
        requested_mode="4-level",
        release="6.12.117",
        features=(),
        qemu="qemu-system-x86_64",
        command_line="console=ttyS0",
        memory=1 << 30,
        cpus=2,
        kvm=False,
        stages=(BOOTED,),
        pairs=(),
        findings=(),
        notes=(),
        end="",
        seconds=20.0,
        cpu_seconds=10.0,
        log=(),
    )
