# SPDX-License-Identifier: GPL-2.0-only
"""Rules for what a booted kernel reports of itself: its log, its counters, free memory, and flags of pages."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from hvolab.units import format_size
from hvolab_boot.guest.readings import Message
from hvolab_boot.judging.result import BootFinding
from hvolab_boot.running.session import Stage
from hvolab_vmcore.scan.huge_pages import Sharing
from hvolab_vmcore.scan.scan import Scan

#: Messages that report an error, by the kind of finding. Kernel: bad_page(), __warn(), die() and their like, v6.12.
_ERRORS: Final[Mapping[str, re.Pattern[str]]] = {
    "bad-page": re.compile(r"BUG: Bad page (state|map|cache)"),
    "kernel-bug": re.compile(
        r"kernel BUG at|BUG: (?!Bad page|soft lockup)|Oops\b|Unable to handle kernel|general protection"
    ),
    "kernel-warning": re.compile(r"WARNING: (CPU|possible|suspicious|inconsistent)"),
    "panic": re.compile(r"Kernel panic"),
}
#: The reason in the dump of a bad page. Kernel: dump_page() in mm/debug.c, v6.12.
_REASON: Final = re.compile(r"page dumped because: (.+)")
_SUPPRESSED: Final = re.compile(r"BUG: Bad page state: (\d+) messages suppressed")


@dataclass(frozen=True)
class ReadStage:
    """A stage, with the scan of its memory; None: it was not read."""

    stage: Stage
    scan: Scan | None

    @property
    def frames(self) -> int | None:
        """Frames behind the vmemmap, each counted once; pages that the tails of a zone share are left out.

        The kernel does not count the latter. Kernel: vmemmap_get_tail() in mm/hugetlb_vmemmap.c, v7.2.
        """
        if self.scan is None:
            return None
        frames = self.scan.pages.frames
        shared = [huge.shared[huge.with_sharing(Sharing.TAIL)] for huge in self.scan.huge_pages]
        return int(np.setdiff1d(frames[frames >= 0], np.concatenate(shared)).size)

    @property
    def optimized(self) -> dict[int, int]:
        """Optimized huge pages by size in bytes, of all sizes that HVO can optimize."""
        if self.scan is None:
            return {}
        shift = self.scan.snapshot.target.mode.page_shift
        return {1 << shift + huge.order: int(huge.optimized.sum()) for huge in reversed(self.scan.huge_pages)}

    @property
    def held(self) -> int:
        """Bytes that huge pages and the page tables of the vmemmap take, less those that HVO freed."""
        pages = sum(size * count for size, count in self.stage.readings.huge_pages.items())
        return pages - (self.scan.savings.net_bytes if self.scan is not None else 0)

    def unaccounted(self, first: ReadStage) -> int | None:
        """Return the bytes that became unfree since the first stage, and that nothing known holds; None: not read."""
        if self.scan is None or first.scan is None:
            return None
        before, after = (one.stage.readings.free + one.held for one in (first, self))
        return before - after


def check_all(stages: list[ReadStage], smallest: int) -> Iterator[BootFinding]:
    """Yield all that breaks a rule.

    smallest  bytes of the smallest huge page that the plan makes: so many that are lost are no noise
    """
    for number, each in enumerate(stages):
        if number:  # what the kernel says while it boots is not about the plan
            yield from log_findings(each.stage.name, each.stage.readings.messages)
            yield from _lost(each, stages[0], smallest)
            yield from _counters(each, stages[0])
        yield from _flags(each)
        yield from _memory(each)


def log_findings(stage: str, messages: Iterable[Message]) -> Iterator[BootFinding]:
    """Yield the errors in the kernel's messages, each kind once, with its number and first text."""
    found: dict[str, list[str]] = {}
    reasons: Counter[str] = Counter()
    suppressed = 0
    for message in messages:
        if hidden := _SUPPRESSED.search(message.text):
            suppressed += int(hidden[1])
            continue
        if reason := _REASON.search(message.text):
            reasons[reason[1]] += 1
        for kind, pattern in _ERRORS.items():
            if pattern.search(message.text):
                found.setdefault(kind, []).append(message.text)
    for kind, texts in found.items():
        count, text = len(texts), f"the kernel reports {texts[0]!r}"
        if kind == "bad-page":
            count += suppressed
            text += "".join(f"; {number} times {reason!r}" for reason, number in reasons.most_common())
        yield BootFinding(kind, "log", stage, count, text)


def is_error(message: Message) -> bool:
    """Return whether a message of the kernel reports an error."""
    return any(pattern.search(message.text) for pattern in _ERRORS.values())


def is_fatal(line: str) -> bool:
    """Return whether a line of the console reports a fault that a kernel may not survive."""
    return _ERRORS["kernel-bug"].search(line) is not None or _ERRORS["panic"].search(line) is not None


def _lost(each: ReadStage, first: ReadStage, smallest: int) -> Iterator[BootFinding]:
    """Yield a finding where free memory is missing."""
    lost = each.unaccounted(first)
    if lost is not None and lost >= smallest:
        pages = lost // smallest
        text = (
            f"free memory lacks {format_size(lost // 1024 * 1024)} that no huge page or page table holds: as much as "
            f"{pages} of {format_size(smallest)}"
        )
        yield BootFinding("lost-memory", "counters", each.stage.name, pages, text)


def _counters(each: ReadStage, first: ReadStage) -> Iterator[BootFinding]:
    """Yield a finding where counters of vmemmap pages and the frames behind the vmemmap changed differently."""
    now, then = each.stage.readings.vmemmap, first.stage.readings.vmemmap
    if not now or each.frames is None or first.frames is None:
        return
    counted, seen = sum(now.values()) - sum(then.values()), each.frames - first.frames
    if counted != seen:
        text = f"{' and '.join(now)} changed by {counted} since the first stage, frames behind the vmemmap by {seen}"
        yield BootFinding("wrong-counter", "counters", each.stage.name, abs(counted - seen), text)


def _flags(each: ReadStage) -> Iterator[BootFinding]:
    """Yield a finding where /proc/kpageflags has other huge pages than the pools."""
    readings = each.stage.readings
    pooled = sum(size * count for size, count in readings.huge_pages.items()) // readings.page_size
    flagged = sum(run.pages for run in readings.huge)
    if pooled != flagged:
        free = sum(run.free for run in readings.huge)
        text = f"/proc/kpageflags has {flagged} pages with KPF_HUGE, {free} of them free; the pools have {pooled}"
        yield BootFinding("wrong-page-flags", "counters", each.stage.name, abs(pooled - flagged), text)


def _memory(each: ReadStage) -> Iterator[BootFinding]:
    """Yield the findings of `hvolab inspect`, and a kernel that does not optimize although HVO is on."""
    if each.scan is None:
        return
    for kind, count in each.scan.kinds().items():
        first = next(one for one in each.scan.findings if one.kind == kind and not one.declared)
        yield BootFinding(kind, "memory", each.stage.name, count, first.text)
    readings = each.stage.readings
    pages, optimized = sum(readings.huge_pages.get(size, 0) for size in each.optimized), sum(each.optimized.values())
    if readings.hvo == 1 and optimized < pages:
        text = f"hugetlb_optimize_vmemmap is 1, and {optimized} of {pages} huge pages are optimized"
        yield BootFinding("not-optimized", "memory", each.stage.name, pages - optimized, text)
