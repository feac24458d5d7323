# SPDX-License-Identifier: GPL-2.0-only
"""An invariant as an object, and the finding that it is broken."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from hvolab.invariants.survey import Survey
from hvolab.machine import Machine
from hvolab.release import HvoVariant
from hvolab.trace import Event

#: Findings of one kind that a rule reports one by one.
LISTED = 8
#: The handlers of one history, by the class of the events that each of them takes.
Handlers = Mapping[type[Event], Callable[[Any], None]]


class Report(Protocol):
    """Reports that an invariant is broken."""

    def __call__(
        self, what: str, where: str = "", *, declared: bool = False, fault: str = "", key: Hashable = None
    ) -> None:
        """Report a finding; the arguments are the fields of :class:`Finding`.

        key  a finding with the same key is replaced, which counts what it has counted and more; None: none is
        """
        ...


@dataclass(frozen=True, eq=False)
class Invariant:
    """A rule that holds on a machine, whatever is done to it and whichever allocation fails.

    number      stable number
    name        stable name, an identifier
    state       checks a machine at rest, and reports where the rule is broken
    history     makes the handlers that a monitor calls with the events of a machine
    applies_to  selects the variants of HVO that the rule applies to

    The docstring of ``state``, or of ``history``, describes it: the rule in a sentence, an empty line, the details.
    """

    number: int
    name: str
    state: Callable[[Survey, Report], None] | None = None
    history: Callable[[Machine, Report], Handlers] | None = None
    applies_to: Callable[[HvoVariant], bool] = lambda _: True

    @property
    def title(self) -> str:
        """The name in words."""
        return self.name.replace("_", " ")

    def reporter(self, findings: list[Finding], now: Callable[[], int | None] = lambda: None) -> Report:
        """Return a function that appends findings of this invariant; ``now`` returns the number of the last event."""
        places: dict[Hashable, int] = {}

        def report(
            what: str, where: str = "", *, declared: bool = False, fault: str = "", key: Hashable = None
        ) -> None:
            place = len(findings) if key is None else places.setdefault(key, len(findings))
            since = now() if place == len(findings) else findings[place].since
            findings[place : place + 1] = [Finding(self, what, where, declared, since, fault)]

        return report


@dataclass(frozen=True)
class Finding:
    """One place where an invariant is broken.

    invariant  the invariant
    what       what is wrong, in a sentence
    where      folio, VA, entry raw and decoded, PFN
    declared   whether the architecture's description or the kernel release predicts it
    since      number of the event after which a monitor saw it; None: found at rest
    fault      the known fault of the release that makes it, with its evidence; empty: none. It is not declared
    """

    also_in_data: ClassVar = ("rule", "number")
    invariant: Invariant = field(metadata={"data": None})
    what: str
    where: str = ""
    declared: bool = False
    since: int | None = field(default=None, metadata={"data": None})
    fault: str = ""

    @property
    def rule(self) -> str:
        """Name of the invariant."""
        return self.invariant.name

    @property
    def number(self) -> int:
        """Number of the invariant."""
        return self.invariant.number

    def __str__(self) -> str:
        parts = [f"invariant {self.number} ({self.rule}): {self.what}"]
        parts += [self.where] if self.where else []
        parts += ["declared"] if self.declared else []
        parts += [f"known fault of the release: {self.fault}"] if self.fault else []
        parts += [f"seen after event {self.since}"] if self.since is not None else []
        return "; ".join(parts)
