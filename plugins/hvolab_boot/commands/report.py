# SPDX-License-Identifier: GPL-2.0-only
"""Report of `hvolab boot` for people: the kernel's own reports, its memory, and replays."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hvolab.cli.output import table
from hvolab.units import format_short, format_size
from hvolab_boot.judging.result import UNKNOWN, BootFinding, BootReport, StageReport

_KIB = 1 << 10
#: Columns of numbers.
_RIGHT = ("MemFree", "missing", "vmemmap", "KPF_HUGE", "frames", "saved", "findings")
_VERDICTS = {
    "no problems": ("No problems found.", "bold green"),
    "problems": ("Problems found.", "bold red"),
    UNKNOWN: ("Not decided: a part that decides was not read or not repeated.", "bold yellow"),
}


def render(report: BootReport) -> Group:
    """Return the whole report."""
    names = ", ".join((report.architecture, report.mode, *report.features))
    accelerated = "KVM" if report.kvm else "emulated"
    heading = Text.assemble(
        (f"{report.kernel}, {names}", "bold"),
        f"; {format_size(report.memory)} of memory, {report.cpus} CPU{'s' * (report.cpus != 1)}, {accelerated}",
    )
    parts: list[RenderableType] = [heading, Text(f"command line: {report.command_line}", "dim"), Text()]
    if report.stages:
        parts += [_kernel(report), Text(), _memory(report), Text()]
    if report.pairs:
        parts += [_replays(report), Text()]
    parts += [_finding(one) for one in report.findings]
    parts += [Text(f"note: {note}") for note in report.notes]
    if report.log and (report.findings or report.end):
        parts += [Text("log of the kernel:"), *(Text(f"  {line}", "dim") for line in report.log)]
    words, style = _VERDICTS[report.verdict]
    parts += [Text(words, style)]
    return Group(*parts)


def _kernel(report: BootReport) -> Table:
    """Return the table of the kernel's own reports."""
    rows = table("the kernel reports after", "huge pages", "MemFree", "missing", "vmemmap", "KPF_HUGE", right=_RIGHT)
    for stage in report.stages:
        missing = UNKNOWN if stage.unaccounted is None else _bytes(stage.unaccounted)
        counted = " + ".join(map(str, stage.vmemmap.values())) or "-"
        flagged = str(sum(run.pages for run in stage.huge))
        rows.add_row(stage.name, _pools(stage), _bytes(stage.mem_free), missing, counted, flagged)
    return rows


def _memory(report: BootReport) -> Table:
    """Return the table of what memory holds."""
    rows = table("memory has after", "optimized", "frames", "saved", "findings", right=_RIGHT)
    for stage in report.stages:
        optimized = [f"{count} of {format_short(int(size))}" for size, count in stage.optimized.items()]
        found = sum(one.count for one in report.findings if one.by == "memory" and one.stage == stage.name)
        numbers = (UNKNOWN if each is None else str(each) for each in (stage.frames, stage.saved))
        rows.add_row(stage.name, ", ".join(optimized) or "none", *numbers, str(found))
    return rows


def _replays(report: BootReport) -> Table:
    """Return the table of replays."""
    voices = [voice.voice for voice in report.pairs[0].voices]
    rows = table("repeated, and compared with memory", "release", *voices)
    for pair in report.pairs:
        rows.add_row(pair.after, pair.release or "-", *(_voice(one.verdict, one.differences) for one in pair.voices))
    return rows


def _voice(verdict: str, differences: int) -> Text:
    style = {"no differences": "green", "differences": "red"}.get(verdict, "yellow")
    return Text(f"{differences} differ" if differences else verdict, style)


def _pools(stage: StageReport) -> str:
    return ", ".join(f"{pool.total} of {format_short(pool.size)}" for pool in stage.pools if pool.total) or "none"


def _bytes(size: int) -> str:
    """Return a number of bytes in KiB, which MemFree is in."""
    return f"{size // _KIB} KiB"


def _finding(finding: BootFinding) -> Text:
    times = f" ({finding.count})" if finding.count > 1 else ""
    return Text.assemble((f"{finding.kind}{times}", "bold red"), f" after {finding.stage}: {finding.text}")
