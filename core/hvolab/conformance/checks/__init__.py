"""All checks of the kit, in the order in which a porter meets what they prove."""

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

CHECKS: tuple[Check, ...] = (
    *description.checks,
    *geometry.checks,
    *sizes.checks,
    *entries.checks,
    *codec.checks,
    *protections.checks,
    *algebra.checks,
    *splitting.checks,
    *reference_values.checks,
    *behavior.checks,
    *scenario.checks,
    *emulation.checks,
    *effects.checks,
    *accesses.checks,
)
