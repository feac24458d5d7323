# SPDX-License-Identifier: GPL-2.0-only
"""Units of work: configurations on targets, explored in this process or by those of an executor."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, as_completed
from dataclasses import dataclass

from hvolab import __version__
from hvolab.arch import Target
from hvolab_explorer.runs.configuration import Configuration
from hvolab_explorer.runs.run import Explored, run
from hvolab_explorer.search.spec import SearchSpec

#: Units for each process below which its start takes longer than it saves.
UNITS_EACH = 6
_KEY_DIGITS = 16


@dataclass(frozen=True)
class Unit:
    """One configuration on one target, to be explored by a search of so many seconds at most."""

    configuration: Configuration
    target: Target
    search: SearchSpec
    seconds: float

    @property
    def key(self) -> str:
        """Hash of everything that decides its result but the time, the version of hvolab included."""
        text = f"{__version__}; {self.configuration.text(self.target)}; {self.search}"
        return hashlib.sha256(text.encode()).hexdigest()[:_KEY_DIGITS]

    def explore(self) -> Explored:
        """Explore it, as `run` does."""
        return run(self.configuration, self.target, self.search, self.seconds)


#: Takes the number of a unit and its result, at the end of its exploration.
OnExplored = Callable[[int, Explored], None]


def explore_units(units: Sequence[Unit], executor: Executor | None, on_explored: OnExplored) -> None:
    """Explore every unit, in the processes of an executor; None: in this one.

    Raises KeyboardInterrupt as soon as the user interrupts it: units under way are not waited for.
    """
    if executor is None:
        for number, unit in enumerate(units):
            on_explored(number, unit.explore())
        return
    pending = {executor.submit(unit.explore): number for number, unit in enumerate(units)}
    try:
        for future in as_completed(pending):
            on_explored(pending[future], future.result())
    except BaseException:
        for future in pending:
            future.cancel()
        raise
