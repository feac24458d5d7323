# SPDX-License-Identifier: GPL-2.0-only
"""All checks of the kit, in the order in which a porter needs them."""

from __future__ import annotations

from hvolab.conformance.check import Check
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

_MODULES = (description, geometry, entries, protections, algebra, reference_values, behavior, emulation)
CHECKS: tuple[Check, ...] = tuple(check for module in _MODULES for check in module.checks)
