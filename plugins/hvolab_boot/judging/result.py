# SPDX-License-Identifier: GPL-2.0-only
"""Result of a boot, as plain data: the JSON of `hvolab boot`, whose keys are stable. Its schema is in docs/static."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from hvolab_boot.guest.readings import HugeRun, PoolCounts

Verdict = Literal["problems", "cannot tell", "no problems"]
#: The verdict where a part that decides was not read.
UNKNOWN: Final = "cannot tell"


@dataclass(frozen=True)
class BootFinding:
    """A broken rule, a difference, or a message of the kernel that reports an error.

    kind   stable name: a kind of `hvolab inspect`, or one of `hvolab_boot.judging.checks`
    by     source: the kernel's log, its counters, its memory, a replay, or the guest's end
    stage  name of the stage after which it shows
    count  how often
    text   what is wrong, in a sentence
    """

    kind: str
    by: Literal["log", "counters", "memory", "replay", "guest"]
    stage: str
    count: int
    text: str


@dataclass(frozen=True)
class StageReport:
    """The guest after a step.

    name         the step
    mem_free     MemFree in bytes
    cpu_lists    bytes of free pages in lists of CPUs, which MemFree leaves out
    unaccounted  bytes of free memory that neither huge pages nor page tables explain, since the first stage; None:
                 memory was not read
    pools        counts of each pool, by sysfs
    vmemmap      counters of pages that back the vmemmap; empty: this kernel has none
    hvo          sysctl hugetlb_optimize_vmemmap; None: this kernel does not have it
    huge         runs of pages with KPF_HUGE, by /proc/kpageflags
    optimized    optimized huge pages in its memory, by size in bytes
    frames       frames behind the vmemmap in its memory, each counted once
    saved        frames that HVO freed
    errors       errors of the writes that did the step
    unread       why memory was not read; empty: it was
    file         core that --keep wrote; empty: none
    """

    name: str
    mem_free: int
    cpu_lists: int
    unaccounted: int | None
    pools: tuple[PoolCounts, ...]
    vmemmap: dict[str, int]
    hvo: int | None
    huge: tuple[HugeRun, ...]
    optimized: dict[str, int]
    frames: int | None
    saved: int | None
    errors: tuple[str, ...]
    unread: str
    file: str


@dataclass(frozen=True)
class VoiceReport:
    """One way to repeat what the kernel did between two stages, compared with the kernel's memory.

    voice     `model`, `emulated` or `own code`
    verdict   of the replay; `not run`: `why` has the reason
    compared  entries and struct pages that were compared
    """

    voice: str
    verdict: Literal["no differences", "differences", "cannot tell", "not run"]
    compared: int
    differences: int
    why: str


@dataclass(frozen=True)
class PairReport:
    """Two stages that follow each other, and what repeats the step between them."""

    before: str
    after: str
    release: str
    voices: tuple[VoiceReport, ...]


@dataclass(frozen=True)
class BootReport:
    """Result of `hvolab boot`.

    image         file
    kernel        release as `uname -r` prints it
    requested_mode  paging mode that was requested, or the one that the kernel uses
    release       kernel release that is modeled
    qemu          command that boots it again; `initramfs` is hvolab's own
    command_line  the kernel's command line
    end           why the guest ended before its plan did; empty: it did all
    seconds, cpu_seconds  time from QEMU's start to its end, by the clock, and that QEMU ran
    findings      what is wrong
    notes         sentences about what was not done or is unknown
    log           messages of the kernel that are findings; lines of the console of a guest that ended early
    """

    also_in_data: ClassVar = ("verdict",)
    image: str
    kernel: str
    architecture: str
    mode: str
    requested_mode: str
    release: str
    features: tuple[str, ...]
    qemu: str
    command_line: str
    memory: int
    cpus: int
    kvm: bool
    stages: tuple[StageReport, ...]
    pairs: tuple[PairReport, ...]
    findings: tuple[BootFinding, ...]
    notes: tuple[str, ...]
    end: str
    seconds: float
    cpu_seconds: float
    log: tuple[str, ...]

    @property
    def verdict(self) -> Verdict:
        """The verdict: `UNKNOWN` if there are no problems, and the plan did not begin, or a part that decides lacks."""
        if self.findings:
            return "problems"
        unknown = not self.stages or self.mode != self.requested_mode or any(stage.unread for stage in self.stages)
        unknown |= any(voice.verdict in {UNKNOWN, "not run"} for pair in self.pairs for voice in pair.voices)
        return UNKNOWN if unknown else "no problems"
