"""All checks of the kit, in the order in which a porter needs them."""

from __future__ import annotations

from hvolab.conformance.check import Check
from hvolab.conformance.checks import (
    accesses,
    algebra,
    behavior,
    codec,
    description,
    effects,
    emulation,
    entries,
    geometry,
    protections,
    reference_values,
    scenario,
    sizes,
    splitting,
)

_MODULES = (
    *(description, geometry, sizes, entries, codec, protections, algebra, splitting, reference_values),
    *(behavior, scenario, emulation, effects, accesses),
)
CHECKS: tuple[Check, ...] = tuple(check for module in _MODULES for check in module.checks)
