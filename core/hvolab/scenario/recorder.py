# SPDX-License-Identifier: GPL-2.0-only
"""Interface of a recorder: it listens to a machine from its first operation on, and writes a file in the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol

from hvolab.invariants import Finding, Monitor
from hvolab.machine import Machine


class Recorder(Protocol):
    """Recorder of what happens on machines.

    A command calls :meth:`watch` for each machine before it operates on it, and :meth:`write` once at the end. Plugins
    add recorders by the hook `hvolab_reports()`.
    """

    def watch(
        self,
        machine: Machine,
        monitor: Monitor | None = None,
        name: str = "",
        *,
        actors: Sequence[str] = (),
        running_cpu: Callable[[], int] | None = None,
    ) -> None:
        """Listen to a machine: a new voice of the report.

        monitor  the monitor whose findings belong to the events after which it has them
        name     name of the voice, as `model`; voices are shown side by side in the order of these calls
        actors   name of the actor on each CPU, by its number; empty: the CPUs have none
        running_cpu  returns the number of the CPU that runs; None: the events that have one report it
        """
        ...

    def mark(self, text: str, findings: Iterable[Finding] = (), *, note: str = "") -> None:
        """Add a stage to the voice that was added last, such as an operation, with what was found there at rest.

        note  why the stage is marked, as the last one at which a finding could be prevented; empty: it is not
        """
        ...

    def write(self, path: Path) -> None:
        """Write what was recorded to a file; raises UsageError if that is not possible."""
        ...
