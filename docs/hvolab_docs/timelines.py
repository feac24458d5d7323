# SPDX-License-Identifier: GPL-2.0-only
"""The timelines of the page `pictures`, recorded when the documentation is built, and the moments that its links name.

A page has `timeline:RUN#MOMENT` where the address of a step belongs; the number of the step is looked up in the run.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final
from unittest.mock import patch

from hvolab.arch import Target
from hvolab.hvo import EngineSetup, HasOrder, Hvo
from hvolab.plugin import registry
from hvolab.scenario import ScenarioSpec, run_scenario
from hvolab.serialize import as_data
from hvolab_report.perfetto_trace.steps import SavedStep, steps_of
from hvolab_report.timeline.page import page_of
from hvolab_report.timeline.writer import StepsWriter

_MIB = 1 << 20
#: Folder of the timelines below that of the built pages.
FOLDER = "_static/timelines"
_LINK = re.compile(r"timeline:([\w-]+)#([\w-]+)")


def _once(call: Callable[[], None]) -> Callable[[], None]:
    """Return a function that makes a call the first time, and nothing later."""
    left = [call]
    return lambda: left.pop()() if left else None


class NoFlush(Hvo):
    """Engine that frees pages which are still in TLBs."""

    def optimize_folios(self, h: HasOrder, folio_list: int) -> None:
        """Optimize a list of folios; the first flush, that of the splits, is made."""
        with patch.object(self.machine, "flush_tlb_all", _once(self.machine.flush_tlb_all)):
            super().optimize_folios(h, folio_list)


@dataclass(frozen=True)
class Run:
    """A run that is recorded: its title, and its engine; None: the model."""

    title: str
    engine: type[Hvo] | None = None


RUNS: Final = {
    "optimize": Run("Two folios of 2 MiB on x86_64: optimized, and restored"),
    "no-flush": Run("The same without the flush before the frames are freed", NoFlush),
}


def _is_leaf(step: SavedStep, voice: Any) -> bool:
    """Return whether a step stores live entries of the last level."""
    return step.name == "entry.store" and bool(step.row[3]) and step.row[2] == len(voice["levels"]) - 1


#: Moments by name: whether a step is one. The first such step is meant, but of `restored` the last.
MOMENTS: Final[dict[str, Callable[[SavedStep, Any], bool]]] = {
    "start": lambda _, __: True,
    "split": lambda step, voice: step.name == "entry.store" and bool(step.row[3]) and not _is_leaf(step, voice),
    "remap": _is_leaf,
    "flush": lambda step, voice: step.name == "flush.all" and step.number > moment(voice, "remap"),
    "free": lambda step, _: step.name == "page.free",
    "finding": lambda step, _: bool(step.findings),
    "restore": lambda step, voice: _is_leaf(step, voice) and step.number > moment(voice, "free"),
    "restored": _is_leaf,
}


def moment(voice: Any, name: str) -> int:
    """Return the number of the step that a moment names; raises LookupError if the run has none."""
    found = [step.number for step in steps_of(voice) if MOMENTS[name](step, voice)]
    if not found:
        raise LookupError(f"no step of the run is {name!r}")
    return found[-1] if name == "restored" else found[0]


@cache
def data_of(name: str) -> Any:
    """Return the data of a run."""
    run, writer = RUNS[name], StepsWriter()
    engine = None if run.engine is None else EngineSetup(run.engine)
    run_scenario(ScenarioSpec(_target(), memory=256 * _MIB, cpus=2, hugepages={2 * _MIB: 2}, engine=engine), writer)
    return {**as_data(writer.data()), "title": run.title}


def _target() -> Target:
    return registry().architecture("x86_64").select(None)


@cache
def _address(name: str, at: str) -> str:
    (voice,) = data_of(name)["voices"]
    return f"{FOLDER}/{name}.html#step={moment(voice, at)}"


def with_addresses(markdown: str) -> str:
    """Return a page's text with the addresses of its steps."""
    return _LINK.sub(lambda link: _address(link[1], link[2]), markdown)


def pages() -> dict[str, str]:
    """Return the timelines, by their names."""
    return {name: page_of(data_of(name)) for name in RUNS}
