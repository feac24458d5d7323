# SPDX-License-Identifier: GPL-2.0-only
"""All checks of the kit, in the order in which a porter needs them."""

from __future__ import annotations

from dataclasses import replace

from hvolab.conformance.check import Check, CheckOutcome, make
from hvolab.conformance.checks import (
    algebra,
    behavior,
    description,
    emulation,
    entries,
    geometry,
    protections,
    reference_values,
)
from hvolab.conformance.subject import Subject

_MODULES = (geometry, description, entries, protections, algebra, reference_values, behavior, emulation)
CHECKS: tuple[Check, ...] = tuple(check for module in _MODULES for check in module.checks)


def made(check: Check, subject: Subject) -> CheckOutcome:
    """Make a check of the kit, or one of a plugin's own, which rests on nothing.

    A check rests on those before it. A machine's behavior shows nothing about instruction sequences.
    """
    position = CHECKS.index(check) if check in CHECKS else 0
    rests_on_all = check in behavior.checks
    earlier = [one for one in CHECKS[:position] if rests_on_all or one not in behavior.checks]
    return replace(make(check, subject, earlier), position=position)
