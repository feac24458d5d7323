"""What `hvolab run` shows people: pictures, tables, findings and a verdict."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from hvolab.cli.options import target_in_words
from hvolab.cli.output import console, show, table
from hvolab.cli.picture import draw
from hvolab.scenario import CountedFinding, FailedCall, FolioStory, ScenarioResult, TailStores
from hvolab.units import format_size

#: Ranges of freed frames that are told; more are summed up.
_RANGES = 4


def show_result(result: ScenarioResult) -> None:
    """Show the result on standard output, drawn for its width."""
    out = console()
    show(render(result, out.width, ascii_only=out.options.ascii_only))


def render(result: ScenarioResult, width: int, *, ascii_only: bool = False) -> Group:
    """The whole report."""
    parts: list[RenderableType] = [_heading(result), Text()]
    for story in result.folios:
        parts += [_story_heading(result, story), Text()]
        parts += [Padding(draw(story, width - 2, ascii_only=ascii_only), (0, 0, 0, 2)), Text()]
    parts += [_pools(result), _counters(result), _work(result)]
    parts += [_facts(result), Text(), _verdict(result)]
    return Group(*parts)


def _heading(result: ScenarioResult) -> Text:
    nodes = f" on {result.nodes} nodes" if result.nodes > 1 else ""
    return Text.assemble(
        (target_in_words(result.target), "bold"), f"; {format_size(result.memory)} of memory{nodes}"
    )


def _story_heading(result: ScenarioResult, story: FolioStory) -> Text:
    text = Text.assemble(
        (f"A huge page of {format_size(story.size)}", "bold cyan"), f" at PFN {story.pfn:#x}", ". "
    )
    new = story.after.frame(0)
    if story.freed and new not in story.before.frames():
        text.append(f"Its head page was copied to PFN {new:#x}. ")
    if story.freed:
        ranges = [f"{first:#x}-{last:#x}" if last > first else f"{first:#x}" for first, last in story.freed[:_RANGES]]
        more = ", …" if len(story.freed) > _RANGES else ""
        text.append("Freed: PFN ").append(", ".join(ranges) + more, "bold green").append(".")
    else:
        text.append("Nothing of its vmemmap was freed.", "yellow")
    del result
    return text


def _pools(result: ScenarioResult) -> Table:
    rows = table(
        *("pool", "order", "pages", "optimised", "vmemmap pages each", "frames saved", "bytes saved"),
        right=("pool", "order", "pages", "optimised", "vmemmap pages each", "frames saved", "bytes saved"),
    )
    page_size = result.target.mode.page_size
    for pool in result.pools:
        short = pool.filled < pool.asked
        pages = Text(f"{pool.filled} of {pool.asked}" if short else f"{pool.filled}", "yellow" if short else "")
        rows.add_row(
            Text(format_size(pool.huge_page.size), "bold"),
            f"{pool.sizes.order}",
            pages,
            f"{pool.optimised}",
            f"{pool.sizes.pages}" if pool.sizes.optimizable else "less than one",
            f"{pool.frames_saved}",
            format_size(pool.frames_saved * page_size),
        )
    saved = Text(f"{result.percent_saved:.2f} %", "bold green" if result.frames_saved else "bold")
    rows.add_section()
    rows.add_row("", "", "", "", saved, Text(f"{result.frames_saved}", "bold"), Text(format_size(result.frames_saved * page_size), "bold"))
    return rows


def _counters(result: ScenarioResult) -> Table:
    rows = table("counter", *(_STAGES[stage.name] for stage in result.stages), right=tuple(_STAGES.values()))
    for name, attribute in (
        ("nr_memmap_pages", "nr_memmap_pages"),
        ("nr_memmap_boot_pages", "nr_memmap_boot_pages"),
        ("both", "memmap_total"),
        ("static key", "key"),
        ("free frames", "free_frames"),
    ):
        rows.add_row(name, *(f"{getattr(stage.counts, attribute)}" for stage in result.stages))
    return rows


_STAGES = {"boot": "after boot", "optimised": "optimised", "restored": "restored"}
_WORK = {
    "entries_stored": "entries stored",
    "tables_made": "tables made",
    "blocks_split": "blocks split",
    "frames_allocated": "frames taken",
    "frames_freed": "frames freed",
    "pages_copied": "pages copied",
    "full_flushes": "full flushes",
    "range_flushes": "range flushes",
    "grace_periods": "grace periods",
}


def _work(result: ScenarioResult) -> Table:
    rows = table("work", "to optimise", "to restore", right=("to optimise", "to restore"))
    fill, drain = result.fill.as_dict(), result.drain.as_dict()
    for name, title in _WORK.items():
        rows.add_row(title, f"{fill[name]}", f"{drain[name]}")
    return rows


def _facts(result: ScenarioResult) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for stores in result.stores:
        grid.add_row(f"stores to tails, {format_size(stores.size)}", _stores_text(stores))
    if result.failed is not None:
        grid.add_row("failed allocation", _failed_text(result.failed))
    for pool in result.pools:
        if pool.undrained:
            then = "all" if not pool.left else f"all but {pool.left}"
            grid.add_row(
                f"surplus, {format_size(pool.huge_page.size)}",
                f"{pool.undrained} could not be restored at first; drained again, {then} went",
            )
    for stage in result.stages:
        holds = Text("hold", "green") if not stage.findings else Text(f"{len(stage.findings)} broken", "bold red")
        grid.add_row(f"invariants, {_STAGES[stage.name]}", holds)
    for finding in result.findings:
        grid.add_row(*_finding_row(finding))
    return grid


def _stores_text(stores: TailStores) -> Text:
    tried = f"{stores.tried}" if stores.tried == stores.tail_pages else f"{stores.tried} of {stores.tail_pages}"
    if not stores.landed:
        return Text.assemble(f"{tried} tried, ", ("all fault", "green"), f": {stores.fault}")
    head = ", where the head's struct page changed with it" if stores.at_head else ""
    landed = "all land" if not stores.faulted else f"{len(stores.landed)} land"
    return Text.assemble(f"{tried} tried, ", (landed, "yellow"), f" in PFN {stores.frame:#x}{head}")


def _failed_text(failed: FailedCall) -> Text:
    if failed.happened:
        when = "while the pools grew" if failed.phase == "fill" else "while they were drained"
        return Text(f"call {failed.number} of {failed.calls}, {when}: {failed.what}")
    return Text(f"call {failed.number} was never made: there were {failed.calls}", "yellow")


def _finding_row(counted: CountedFinding) -> tuple[Text, Text]:
    finding = counted.finding
    style = "yellow" if finding.declared else "bold red"
    word = "declared" if finding.declared else "finding"
    times = f" ({counted.count} times)" if counted.count > 1 else ""
    where = f"; {'first at ' if counted.count > 1 else ''}{finding.where}" if finding.where else ""
    name = finding.rule.name.lower().replace("_", " ")
    return Text(word, style), Text.assemble((f"invariant {finding.rule.value}, {name}: ", style), f"{finding.what}{times}{where}")


def _verdict(result: ScenarioResult) -> Text:
    page_size = result.target.mode.page_size
    saved = f"{result.frames_saved} frames, {format_size(result.frames_saved * page_size)}"
    if not result.as_declared:
        undeclared = sum(not counted.finding.declared for counted in result.findings)
        return Text(f"{undeclared} finding{'s' * (undeclared != 1)} that the description does not declare", "bold red")
    return Text.assemble(("All as declared.", "bold green"), f" Saved {saved} of vmemmap, for {result.fill.tables_made} new page tables.")
