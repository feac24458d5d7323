# SPDX-License-Identifier: GPL-2.0-only
"""Steps of a voice's data, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from hvolab_report.timeline.fold import Row, unfold
from hvolab_report.timeline.row_kinds import ROW_KINDS


@dataclass(slots=True)
class SavedStep:
    """A step as it was saved.

    number        its number
    name          name of its kind, as `entry.store`
    row           its row: number of the kind, CPU, and the columns of the kind
    calls         functions in progress, outermost first: number of the function, and of the call
    translations  rows of the changes of TLBs
    findings      numbers of the findings that it completes
    """

    number: int
    name: str
    row: Row
    calls: tuple[tuple[int, int], ...]
    translations: list[Row] = field(default_factory=list)
    findings: list[int] = field(default_factory=list)

    @property
    def cpu(self) -> int:
        """Number of the CPU."""
        return self.row[1]


def steps_of(voice: Any) -> Iterator[SavedStep]:
    """Yield the steps of a voice, in order."""
    calls: tuple[tuple[int, int], ...] = ()
    step: SavedStep | None = None
    number = entered = 0
    for row in unfold([tuple(each) for each in voice["rows"]]):
        kind = ROW_KINDS[row[0]]
        if kind.name == "calls":
            calls = (*calls[: row[1]], *((function, entered + at) for at, function in enumerate(row[2:])))
            entered += len(row) - 2
        elif kind.is_step:
            if step is not None:
                yield step
            step = SavedStep(number, kind.name, row, calls)
            number += 1
        elif step is not None:
            if kind.name == "tlb":
                step.translations.append(row)
            else:
                step.findings.append(row[1])
    if step is not None:
        yield step


def label(voice: Any, step: SavedStep) -> str:
    """Return the kernel function or operation that a step stands for."""
    kind, texts = ROW_KINDS[step.row[0]], voice["texts"]
    if step.name == "mark":
        return str(texts[step.row[2]])
    if step.name == "entry.store":
        return f"set {voice['levels'][step.row[2]]['name']}" + ("" if step.row[3] else ", not yet reachable")
    column = kind.kernel.strip("{}")
    return str(texts[step.row[1 + kind.columns.index(column)]]) if column in kind.columns else kind.kernel


def blocks(step: SavedStep) -> Iterator[tuple[int, int]]:
    """Yield head PFN and number of frames of each block that a step allocates or frees, in order."""
    if step.name not in {"page.allocate", "page.free"}:
        return
    order, runs = (step.row[2], step.row[4:]) if step.name == "page.free" else (step.row[3], step.row[6:])
    for at in range(0, len(runs), 3):
        first, by, count = runs[at : at + 3]
        for turn in range(count):
            yield first + turn * by, 1 << order


def entries(runs: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield pattern and PFN of each entry of flattened runs."""
    for at in range(0, len(runs), 4):
        pattern, pfn, by, count = runs[at : at + 4]
        for turn in range(count):
            yield pattern, pfn + turn * by
