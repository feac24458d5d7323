# SPDX-License-Identifier: GPL-2.0-only
"""Report of `hvolab run` for people: pictures, tables, findings and a verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import fields
from operator import attrgetter
from pathlib import Path

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from hvolab.cli.options import target_in_words
from hvolab.cli.output import console, show, table
from hvolab.cli.picture import draw
from hvolab.machine import VmemmapBacking
from hvolab.scenario import FailedCall, FolioHistory, OperationCounts, ScenarioResult, Stage, TailStores
from hvolab.units import format_size

#: Ranges of freed frames that are listed; more are counted.
_RANGES = 2
#: Findings of one rule that are listed; more are counted.
_FINDINGS = 8
_INDENT = 2
#: Columns that the tables of counters and work need side by side.
_SIDE_BY_SIDE = 98


def show_result(result: ScenarioResult, files: Iterable[Path] = ()) -> None:
    """Show the result on standard output, drawn for its width, and the names of the files that were written."""
    out = console()
    show(render(result, out.width, ascii_only=out.options.ascii_only))
    for file in files:
        show(f"written          {file}")


def render(result: ScenarioResult, width: int, *, ascii_only: bool = False) -> Group:
    """The whole report."""
    spec = result.spec
    nodes = f" on {spec.nodes} nodes" if spec.nodes > 1 else ""
    nodes += f", {spec.cpus} CPUs" if spec.cpus > 1 else ""
    nodes += f", vmemmap: {spec.vmemmap.value}" if spec.vmemmap is not VmemmapBacking.BOOT else ""
    heading = Text.assemble((target_in_words(spec.target), "bold"), f"; {format_size(spec.memory)} of memory{nodes}")
    notes = (Text(note, "yellow") for note in result.notes)
    parts: list[RenderableType] = [heading, *notes, Text()]
    at_end = "at the end" if result.requested else "restored"
    for history in result.folios:
        drawing = draw(history, width - _INDENT, at_end, ascii_only=ascii_only)
        parts += [_history_heading(history), Text(), Padding(drawing, (0, 0, 1, _INDENT))]
    if result.requested:
        parts += [_operations(result), Text()]
    parts += [_pools(result), Text()]
    tables: list[RenderableType] = [_counters(result), Text(), _work(result)]
    if width >= _SIDE_BY_SIDE and not result.requested:
        grid = Table.grid(padding=(0, 4, 0, 0))
        grid.add_row(_counters(result), _work(result))
        tables = [grid]
    return Group(*parts, *tables, Text(), _facts(result), Text(), _verdict(result))


def _history_heading(history: FolioHistory) -> Text:
    text = Text.assemble((f"{format_size(history.size)} page", "bold cyan"), f" at PFN {history.pfn:#x}")
    new, freed = history.after.frame(0), history.freed
    if not freed:
        return text.append(": ").append("nothing of its vmemmap was freed", "yellow")
    if new not in history.before.frames():
        text.append(f": head copied to PFN {new:#x}")
    ranges = [f"{first:#x}-{last:#x}" if last > first else f"{first:#x}" for first, last in freed[:_RANGES]]
    more = f" and {len(freed) - _RANGES} more ranges" if len(freed) > _RANGES else ""
    return text.append(", freed PFN ").append(", ".join(ranges) + more, "green")


def _operations(result: ScenarioResult) -> Table:
    right = ("optimized", "frames saved")
    rows = table("", "operation", "done", "pages", *right, right=right)
    for number, stage in enumerate(result.stages[1:], start=1):
        pages = ", ".join(f"{pool.pages} of {format_size(pool.huge_page.size)}" for pool in stage.pools if pool.pages)
        saved = sum(pool.frames_saved for pool in stage.pools)
        optimized = sum(pool.optimized for pool in stage.pools)
        done = Text(f"{stage.outcome}", "yellow" if stage.outcome and stage.outcome.error else "")
        rows.add_row(f"{number}", f"{stage.operation}", done, pages or "none", f"{optimized}", f"{saved}")
    return rows


def _pools(result: ScenarioResult) -> Table:
    columns = ("pool", "order", "pages", "optimized", "vmemmap", "frames saved", "bytes saved", "saved")
    rows = table(*columns, right=columns)
    page_size = result.spec.target.mode.page_size
    for pool in result.pools:
        short = pool.pages < pool.requested and not result.requested
        whole = pool.pages * pool.sizes.size // page_size
        rows.add_row(
            Text(format_size(pool.huge_page.size), "bold"),
            f"{pool.sizes.order}",
            Text(f"{pool.pages} of {pool.requested}" if short else f"{pool.pages}", "yellow" if short else ""),
            f"{pool.optimized}",
            format_size(pool.sizes.size),
            f"{pool.frames_saved}",
            format_size(pool.frames_saved * page_size),
            f"{100 * pool.frames_saved / whole if whole else 0:.2f} %",
        )
    total = ("all", "", "", "", "", result.frames_saved, format_size(result.frames_saved * page_size))
    percent = Text(f"{result.percent_saved:.2f} %", "green" if result.frames_saved else "yellow")
    rows.add_row(*(f"{cell}" for cell in total), percent, style="bold")
    return rows


def _counters(result: ScenarioResult) -> Table:
    stages = result.stages
    titles = [title for title, value in _COUNTERS.items() if value(stages[0]) is not None]
    counters = ((title, *(f"{_COUNTERS[title](stage)}" for stage in stages)) for title in titles)
    cells = [("counter", *_titles(result)), *counters]
    header, *lines = zip(*cells, strict=True) if result.requested else cells  # operations may be many
    rows = table(*header, right=header[1:])
    for line in lines:
        rows.add_row(*line)
    return rows


def _titles(result: ScenarioResult) -> tuple[str, ...]:
    """Return a title for each stage: requested operations by number."""
    return ("after boot", *(stage.name.partition(" ")[0] for stage in result.stages[1:]))


_COUNTERS: dict[str, Callable[[Stage], int | None]] = {
    "nr_memmap_pages": lambda stage: getattr(stage.counters, "nr_memmap_pages", None),
    "nr_memmap_boot_pages": lambda stage: getattr(stage.counters, "nr_memmap_boot_pages", None),
    "both": lambda stage: getattr(stage.counters, "total", None),
    "static key": attrgetter("key"),
    "free frames": attrgetter("free_frames"),
}


def _work(result: ScenarioResult) -> Table:
    titles = _titles(result)[1:] if result.requested else ("optimize", "restore")
    rows = table("work", *titles, right=titles)
    for count in fields(OperationCounts):
        rows.add_row(count.name.replace("_", " "), *(f"{getattr(work, count.name)}" for work in result.work.values()))
    return rows


def _facts(result: ScenarioResult) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for stores in result.stores:
        grid.add_row("stores to tails", _stores_text(stores))
        if stores.fault:
            grid.add_row("", Text(stores.fault, "dim"))
    if result.failed is not None:
        grid.add_row("failed allocation", _failed_text(result.failed))
    for pool in result.stages[-1].pools if not (result.requested or result.stopped) else ():
        if pool.pages:
            stayed = f"{pool.pages} of {format_size(pool.huge_page.size)} stayed as free surplus pages"
            grid.add_row("not restored", Text(stayed, "yellow"))
    invariants = Text()
    for title, stage in zip(_titles(result), result.stages, strict=True):
        word, style = ("broken", "bold red") if stage.findings else ("hold", "green")
        if stage.findings and all(finding.declared for finding in stage.findings):
            word, style = "broken as declared", "yellow"
        invariants.append(f"{title} ").append(word, style).append("   ")
    grid.add_row("invariants", invariants)
    _add_findings(grid, result)
    for warning in result.warnings:
        grid.add_row(Text("warning", "bold red"), Text(warning))
    return grid


def _add_findings(grid: Table, result: ScenarioResult) -> None:
    """Add a row for each finding, and for each known fault of the release that findings name."""
    listed: Counter[tuple[str, bool]] = Counter()
    for finding, count in result.findings.items():
        kind = (finding.rule, finding.declared)
        listed[kind] += 1
        if listed[kind] > _FINDINGS:
            continue
        word, style = ("declared", "yellow") if finding.declared else ("finding", "bold red")
        times, first = (f" ({count} times)", "first at ") if count > 1 else ("", "")
        where = f"; {first}{finding.where}" if finding.where else ""
        name = f"invariant {finding.number}, {finding.invariant.title}: "
        grid.add_row(Text(word, style), Text.assemble((name, style), f"{finding.what}{times}{where}"))
        if finding.fault:
            grid.add_row("", Text("known fault, below", "yellow"))
    for (rule, _), number in listed.items():
        if number > _FINDINGS:
            grid.add_row("", Text(f"{number - _FINDINGS} more findings of {rule}: --json lists them", "dim"))
    for fault in dict.fromkeys(finding.fault for finding in result.findings if finding.fault):
        grid.add_row("", Text(f"known fault of {result.spec.target.release}: {fault}", "yellow"))


def _stores_text(stores: TailStores) -> Text:
    size = format_size(stores.size)
    tried = f"{stores.tried}" if stores.tried == stores.tail_pages else f"{stores.tried} of {stores.tail_pages}"
    if not stores.landed:
        return Text.assemble(f"{size}: {tried} tried, ", ("all fault", "green"))
    head = ", where the head's struct page changed with it" if stores.at_head else ""
    landed = "all land" if not stores.faulted else f"{len(stores.landed)} land"
    frames = ", ".join(f"{pfn:#x}" for pfn in stores.frames)
    return Text.assemble(f"{size}: {tried} tried, ", (landed, "yellow"), f" in PFN {frames}{head}")


def _failed_text(failed: FailedCall) -> Text:
    if not failed.happened:
        return Text(f"call {failed.number} was never made: there were {failed.calls}", "yellow")
    phases = {"fill": "while the pools grew", "drain": "while they were drained"}
    when = phases.get(failed.phase, f"during {failed.phase}")
    return Text(f"call {failed.number} of {failed.calls}, {when}: {failed.what}")


def _verdict(result: ScenarioResult) -> Text:
    if not result.as_declared:
        undeclared = _counted(sum(not finding.declared for finding in result.findings), "finding")
        warnings = _counted(len(result.warnings), "warning")
        sentences = [f"{undeclared} not declared by the description"] if undeclared else []
        sentences += [f"{warnings} of the engine"] if warnings else []
        stopped = f" The run stopped in {result.stages[-1].operation}." if result.stopped else ""
        return Text(f"{', '.join(sentences)}.{stopped}", "bold red")
    size = format_size(result.frames_saved * result.spec.target.mode.page_size)
    tables, declared = _counted(result.page_tables_allocated, "page table"), _counted(len(result.findings), "finding")
    allocated = f"; {tables} allocated" if tables else ""
    verdict = ", ".join(["All as declared", *([declared] if declared else [])])
    rule = result.spec.target.traits.forbids
    unfit = f" HVO is not for this kernel; rule for a live entry: {rule}." if rule else ""
    saved = f" {result.frames_saved} frames ({size}) saved{allocated}."
    return Text.assemble((f"{verdict}.", "bold green"), saved, (unfit, "yellow"))


def _counted(count: int, noun: str) -> str:
    """Return the number with the noun, empty for none."""
    return f"{count} {noun}{'s' * (count != 1)}" if count else ""
