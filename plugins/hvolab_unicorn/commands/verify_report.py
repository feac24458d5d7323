# SPDX-License-Identifier: GPL-2.0-only
"""Report of `hvolab verify`: JSON, and tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from hvolab.arch import EmulationPart, InstructionSequence
from hvolab.arch.target_data import TargetData, target_as_dict
from hvolab.cli.options import target_in_words
from hvolab.cli.output import show, table
from hvolab.invariants import Finding
from hvolab.serialize import as_data
from hvolab_unicorn.cpu.reports import disassembled
from hvolab_unicorn.verify import ProbeMismatch, ProbeRecord, Verification
from hvolab_unicorn.verify.selection import Refused

#: Mismatches, and findings, of a mode that are printed.
_PRINTED = 8
_COLUMNS = ("mode", "huge pages", "tails", "loads", "stores", "exchanges", "fetches", "faults", "stale", "mismatches")


@dataclass(frozen=True)
class VerifiedMode(TargetData):
    """Counts of accesses on one target, results that differ from the prediction, and broken rules.

    mismatching  the mismatches themselves
    seen         first result of each kind of access, on each CPU
    """

    huge_pages: int
    tails: int
    loads: int
    stores: int
    exchanges: int
    fetches: int
    faults: int
    stale_stores: int
    mismatches: int
    mismatching: tuple[ProbeMismatch, ...]
    findings: tuple[Finding, ...]
    seen: tuple[ProbeRecord, ...]


@dataclass(frozen=True)
class NotEmulated(TargetData):
    """Target that is not emulated, and the reason."""

    reason: str


@dataclass(frozen=True)
class VerifyReport:
    """Result of `hvolab verify`; the mismatches of all modes are counted together."""

    modes: tuple[VerifiedMode, ...]
    not_emulated: tuple[NotEmulated, ...]
    mismatches: int


def report_of(found: Sequence[Verification], refused: Refused) -> VerifyReport:
    """Return the whole report for JSON."""
    modes = tuple(
        VerifiedMode(
            **target_as_dict(one.target),
            **vars(one.counts),
            mismatches=len(one.mismatches),
            mismatching=tuple(one.mismatches),
            findings=tuple(one.findings),
            seen=tuple(one.records.values()),
        )
        for one in found
    )
    others = tuple(NotEmulated(**target_as_dict(target), reason=reason) for target, reason in refused)
    return VerifyReport(modes, others, sum(one.mismatches for one in modes))


def show_verifications(found: Sequence[Verification], refused: Refused) -> None:
    """Print the tables of each architecture, the targets that were refused, and a verdict."""
    parts: list[RenderableType] = []
    for name in dict.fromkeys(one.target.architecture.name for one in found):
        same = [one for one in found if one.target.architecture.name == name]
        parts += [Text(name, "bold"), Padding(_counts(same), (0, 0, 1, 2)), Padding(_records(same[0]), (0, 0, 1, 2))]
        parts += [Padding(line, (0, 0, 0, 2)) for one in same for line in _wrong(one)]
    for target, reason in refused:
        parts.append(Text.assemble((f"{target_in_words(target)} is not emulated: ", "yellow"), reason))
    parts.append(_conclusion(found))
    show(Group(*parts))


def _counts(found: Sequence[Verification]) -> RenderableType:
    """Return a table with a row for each mode."""
    made = table(*_COLUMNS)
    for one in found:
        mismatches = Text(str(len(one.mismatches)), "red" if one.mismatches else "green")
        made.add_row(one.target.mode.name, *map(str, as_data(one.counts).values()), mismatches)
    return made


def _records(one: Verification) -> RenderableType:
    """Return a table of the executed sequences, with disassembly, and the first results of each CPU."""
    made = Table.grid("", "", "", padding=(0, 2))
    part = one.target.architecture.emulation
    for step in dict.fromkeys(record.step for record in one.records.values()):
        sequence = None if part is None else part.sequence(step)
        if part is not None and sequence is not None:
            made.add_row(Text(step, "bold"), Text(_instructions(part, sequence), "cyan"), "")
        for record in one.records.values():
            for cpus, result in _by_result(record) if record.step == step else ():
                made.add_row("", f"{record.what}, {cpus}", result)
    return made


def _by_result(record: ProbeRecord) -> list[tuple[str, str]]:
    """Return the CPUs that had the same result, and the result."""
    cpus_of: dict[str, list[str]] = {}
    for index, result in enumerate(record.cpus):
        if result:
            cpus_of.setdefault(result, []).append(str(index))
    return [(f"CPU{'s' if len(cpus) > 1 else ''} {' and '.join(cpus)}", result) for result, cpus in cpus_of.items()]


def _instructions(part: EmulationPart, sequence: InstructionSequence) -> str:
    """Return the instructions of a sequence as capstone prints them; without it, the declared text."""
    return "; ".join(text for _, text in disassembled(part.disassembler, sequence.machine_code)) or sequence.text


def _wrong(one: Verification) -> Iterator[Text]:
    """Yield the first mismatches and findings of a mode."""
    name = one.target.mode.name
    for mismatch in one.mismatches[:_PRINTED]:
        yield Text(f"{name}: {mismatch}", "red")
    if len(one.mismatches) > _PRINTED:
        yield Text(f"{name}: and {len(one.mismatches) - _PRINTED} more", "red")
    for finding in one.findings[:_PRINTED]:
        style, word = ("yellow", "declared") if finding.declared else ("red", "not declared")
        yield Text(f"{name}: {finding.what} ({word}); {finding.where}", style)


def _conclusion(found: Sequence[Verification]) -> Text:
    """Return the last line."""
    mismatches = sum(len(one.mismatches) for one in found)
    findings = [finding for one in found for finding in one.findings]
    undeclared = sum(not finding.declared for finding in findings)
    count = f"{len(found)} mode{'' if len(found) == 1 else 's'}"
    if mismatches or undeclared:
        return Text(f"{count}: {mismatches} mismatches, {undeclared} findings that are not declared", "bold red")
    return Text.assemble(
        ("All as declared", "bold green"), f": {count}, {len(findings)} declared findings, 0 mismatches"
    )
