"""Run of the kit without pytest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hvolab.arch import Architecture
from hvolab.conformance.check import Check, CheckOutcome, make
from hvolab.conformance.checks import CHECKS
from hvolab.conformance.subject import subjects


def outcomes(architecture: Architecture, checks: Iterable[Check] = CHECKS) -> Iterator[CheckOutcome]:
    """Make each check for each of its subjects, and yield the outcomes."""
    for check in checks:
        for subject in subjects(architecture, check.scope):
            yield make(check, subject)
