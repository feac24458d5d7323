# SPDX-License-Identifier: GPL-2.0-only
"""Invariants of HVO: rules about states, checked at rest, and about histories, checked by a listener."""

from __future__ import annotations

from hvolab.invariants.check import INVARIANTS, Monitor, check
from hvolab.invariants.invariant import Finding, Invariant, Report
from hvolab.invariants.rules.batches import EndlessLoopError
from hvolab.invariants.survey import Folios, Survey, Translations, survey

__all__ = [
    "INVARIANTS",
    "EndlessLoopError",
    "Finding",
    "Folios",
    "Invariant",
    "Monitor",
    "Report",
    "Survey",
    "Translations",
    "check",
    "survey",
]
