"""What `hvolab verify` tells: as JSON, and as tables for people."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from hvolab.arch import InstructionSequence
from hvolab.cli.options import target_as_dict, target_in_words
from hvolab.cli.output import console, show, table
from hvolab_unicorn.cpu.reports import disassembled
from hvolab_unicorn.verify.probes import ProbeRecord
from hvolab_unicorn.verify.selection import Verified
from hvolab_unicorn.verify.verification import Verification

#: Mismatches and findings that are told one by one.
_TOLD = 8
_COLUMNS = ("mode", "huge pages", "tails", "loads", "stores", "exchanges", "fetches", "faults", "stale", "mismatches")


def as_dict(found: Verified) -> dict[str, Any]:
    """Everything, for JSON."""
    return {
        "modes": [{**target_as_dict(one.target), **one.as_dict()} for one in found.verifications],
        "not_emulated": [{**target_as_dict(target), "reason": why} for target, why in found.refused],
        "mismatches": sum(len(one.mismatches) for one in found.verifications),
    }


@contextmanager
def progress(*, quiet: bool) -> Iterator[Callable[[str], None]]:
    """Tell on standard error what is being done, where that is a terminal."""
    out = console(error=True)
    if quiet or not out.is_terminal:
        yield lambda _: None
        return
    with out.status("verify") as status:
        yield status.update


def show_verifications(found: Verified) -> None:
    """Print what was found."""
    parts: list[RenderableType] = []
    by_architecture: dict[str, list[Verification]] = {}
    for one in found.verifications:
        by_architecture.setdefault(one.target.architecture.name, []).append(one)
    for name, of_architecture in by_architecture.items():
        parts += [Text(name, "bold"), Padding(_counts(of_architecture), (0, 0, 1, 2))]
        parts += [Padding(_sights(of_architecture[0]), (0, 0, 1, 2))]
        parts += [Padding(line, (0, 0, 0, 2)) for one in of_architecture for line in _wrong(one)]
    for target, why in found.refused:
        parts.append(Text.assemble((f"{target_in_words(target)} is not emulated: ", "yellow"), why))
    parts.append(_verdict(found))
    show(Group(*parts))


def _counts(of_architecture: list[Verification]) -> RenderableType:
    """A row for each mode."""
    made = table(*_COLUMNS)
    for one in of_architecture:
        counts = one.counts
        numbers = (counts.huge_pages, counts.tails, counts.loads, counts.stores, counts.exchanges, counts.fetches)
        wrong = Text(str(len(one.mismatches)), "red" if one.mismatches else "green")
        row = [*map(str, (*numbers, counts.faults, counts.stale_stores))]
        made.add_row(one.target.mode.name, *row, wrong)
    return made


def _sights(one: Verification) -> RenderableType:
    """The sequences that were executed, with their disassembly, and what each CPU saw of the first folio."""
    made = Table.grid(padding=(0, 2))
    for _ in range(3):
        made.add_column()
    part = one.target.architecture.emulation
    steps: dict[str, list[ProbeRecord]] = {}
    for sight in one.sights:
        steps.setdefault(sight.step, []).append(sight)
    for step, sights in steps.items():
        sequence = None if part is None else part.sequence(step)
        if part is not None and sequence is not None:
            made.add_row(Text(step, "bold"), Text(_instructions(part.disassembler, sequence), "cyan"), "")
        for sight in sights:
            for cpus, word in _by_word(sight):
                made.add_row("", f"{sight.what}, {cpus}", word)
    return made


def _by_word(sight: ProbeRecord) -> list[tuple[str, str]]:
    """The CPUs that saw the same, and what."""
    seen: dict[str, list[str]] = {}
    for index, word in enumerate(sight.cpus):
        if word:
            seen.setdefault(word, []).append(str(index))
    return [(f"CPU{'s' if len(cpus) > 1 else ''} {' and '.join(cpus)}", word) for word, cpus in seen.items()]


def _instructions(disassembler: tuple[str, str], sequence: InstructionSequence) -> str:
    """The instructions, as the disassembler reads their bytes; as declared where there is none."""
    read = "; ".join(text for _, text in disassembled(disassembler, sequence.machine_code))
    return read or sequence.text


def _wrong(one: Verification) -> Iterator[Text]:
    """Mismatches and findings, the first of each."""
    for mismatch in one.mismatches[:_TOLD]:
        yield Text(f"{one.target.mode.name}: {mismatch}", "red")
    if len(one.mismatches) > _TOLD:
        yield Text(f"{one.target.mode.name}: and {len(one.mismatches) - _TOLD} more", "red")
    for finding in one.findings[:_TOLD]:
        style, word = ("yellow", "declared") if finding.declared else ("red", "not declared")
        yield Text(f"{one.target.mode.name}: {finding.what} ({word}); {finding.where}", style)


def _verdict(found: Verified) -> Text:
    """The last line."""
    mismatches = sum(len(one.mismatches) for one in found.verifications)
    findings = [finding for one in found.verifications for finding in one.findings]
    undeclared = sum(not finding.declared for finding in findings)
    count = f"{len(found.verifications)} mode{'' if len(found.verifications) == 1 else 's'}"
    if mismatches or undeclared:
        return Text(f"{count}: {mismatches} mismatches, {undeclared} findings that are not declared", "bold red")
    return Text.assemble(
        ("All as declared", "bold green"), f": {count}, {len(findings)} declared findings, 0 mismatches"
    )
