# SPDX-License-Identifier: GPL-2.0-only
"""Results of a campaign in a file: one line of JSON for each unit, written at the end of its exploration."""

from __future__ import annotations

import json
import os
import weakref
from collections.abc import Iterator
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import Any

from hvolab.arch.target_data import target_as_dict
from hvolab.errors import UsageError
from hvolab.serialize import as_data
from hvolab_explorer.exploration import Found, Prevention, Remedy, Result
from hvolab_explorer.runs.run import Explored
from hvolab_explorer.runs.units import Unit
from hvolab_explorer.steps.actor import Step

_NUMBERS = ("schedules", "pruned", "steps", "seconds")


class ResultsFile:
    """File of results. A unit whose line is there is not explored again, unless it was stopped and has more time now.

    path  the file; it need not exist
    Raises UsageError for a file that another object writes to, in this process or another.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = _opened(path)
        weakref.finalize(self, os.close, self._file)
        self._known = {str(line["key"]): line for line in self._lines()}

    def _lines(self) -> Iterator[dict[str, Any]]:
        """Yield the lines; one that was cut when its writer was killed, at the end, is removed."""
        try:
            text = self.path.read_text("utf-8")
        except FileNotFoundError:
            return
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"results of a campaign cannot be read: {error}", where=str(self.path)) from error
        whole, _, cut = text.rpartition("\n")
        if cut:
            self.path.write_text(whole + "\n" if whole else "", "utf-8")
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                found = json.loads(line)
                yield {**found, "key": found["key"], "limit": found["limit"]}
            except (ValueError, KeyError, TypeError) as error:
                raise UsageError(
                    f"{line[:40]!r} is not the result of a configuration",
                    where=f"{self.path}:{number}",
                    hint="name another folder, or remove the line: its configuration is explored again",
                ) from error

    def find(self, unit: Unit) -> Explored | None:
        """Return the result of a unit; None: it is not in the file."""
        line = self._known.get(unit.key)
        if line is None or (line["incomplete"] and not line["findings"] and line["limit"] < unit.seconds):
            return None
        return _from_data(unit, line)

    def add(self, unit: Unit, explored: Explored) -> None:
        """Add a result to the file."""
        line = {"key": unit.key, "limit": unit.seconds, **_as_data(explored)}
        self._known[unit.key] = line
        text = (json.dumps(line) + "\n").encode()
        while text:
            text = text[os.write(self._file, text) :]


def _opened(path: Path) -> int:
    """Open a file to add lines to it, and lock it; return its descriptor, with which the lock ends."""
    try:
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise UsageError(f"results of a campaign cannot be written: {error}", where=str(path)) from error
    try:
        flock(file, LOCK_EX | LOCK_NB)
    except BlockingIOError as error:
        os.close(file)
        raise UsageError(
            "another campaign writes to this folder",
            where=str(path),
            rule="the results in a folder have one writer at a time",
            hint="wait for its end, or name another folder",
        ) from error
    return file


def _as_data(explored: Explored) -> dict[str, Any]:
    """Return a result as data for JSON."""
    result, configuration = explored.result, explored.configuration
    findings = [
        {
            "text": found.text,
            "in_schedule": found.schedule,
            "schedule": schedule,
            "steps": [[step.actor, step.text, step.choice] for step in found.log],
            "prevention": as_data(found.prevention),
        }
        for found, schedule in zip(explored.findings, explored.schedules, strict=True)
    ]
    return {
        "name": configuration.name,
        "configuration": configuration.text(explored.target),
        "target": target_as_dict(explored.target),
        "incomplete": result.incomplete,
        **{name: getattr(result, name) for name in _NUMBERS},
        "classes": [f"{key:x}" for key in sorted(result.classes)],
        "findings": findings,
    }


def _from_data(unit: Unit, data: dict[str, Any]) -> Explored:
    """Return the result that `_as_data` made `data` of."""
    findings = [_found(each) for each in data["findings"]]
    result = Result(incomplete=data["incomplete"], **{name: data[name] for name in _NUMBERS})
    result.classes = {int(key, 16) for key in data["classes"]}
    result.findings = {found.text: found for found in findings}
    schedules = [each["schedule"] for each in data["findings"]]
    return Explored(unit.configuration, unit.target, result, findings, schedules)


def _found(data: dict[str, Any]) -> Found:
    """Return a finding; what was written without a search for its prevention has none."""
    known = data.get("prevention")
    prevention = None if known is None else _prevention(known)
    return Found(data["text"], data["in_schedule"], tuple(Step(*step) for step in data["steps"]), prevention)


def _prevention(data: dict[str, Any]) -> Prevention:
    remedies = data.get("remedies")
    return Prevention(
        data["step"],
        tuple(data["instead"]),
        data["tried"],
        data["whole"],
        None if remedies is None else tuple(Remedy(**one) for one in remedies),
        tuple(map(tuple, data.get("locks", ()))),
    )
