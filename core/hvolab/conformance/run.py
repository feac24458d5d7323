"""Makes the checks of the kit without pytest, one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hvolab.arch import Architecture
from hvolab.conformance.check import Check, CheckOutcome, make
from hvolab.conformance.checks import CHECKS
from hvolab.conformance.subject import subjects


def outcomes(architecture: Architecture, checks: Iterable[Check] = CHECKS) -> Iterator[CheckOutcome]:
    """What comes of each check for everything that it is about, as it is made."""
    for check in checks:
        for subject in subjects(architecture, check.scope):
            yield make(check, subject)
