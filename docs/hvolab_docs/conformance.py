# SPDX-License-Identifier: GPL-2.0-only
"""The tables of the conformance kit, generated from its checks."""

from __future__ import annotations

import sys
from itertools import groupby

from hvolab.conformance.check import Capability, Check
from hvolab.conformance.checks import CHECKS
from hvolab.conformance.subject import Scope
from hvolab.conformance.version import KIT

from .markdown import code, plain, table


def checks() -> str:
    """Return a section for each module of checks, in the order of the kit."""
    parts = []
    for module, group in groupby(CHECKS, key=lambda check: check.proof.__module__):
        title, _, rest = (sys.modules[module].__doc__ or "").strip().partition("\n")[0].partition(":")
        parts.append(f"### {plain(title.rstrip('.'))}\n")
        if rest:
            parts.append(f"{plain(rest.strip()[:1].upper() + rest.strip()[1:])}\n")
        parts.append(
            table(("check", "what it proves", "about", "needs"), [_row(check) for check in group]),
        )
    return "\n".join(parts)


def _row(check: Check) -> tuple[str, str, str, str]:
    needs = ", ".join(capability.name for capability in check.needs)
    new = "" if check.since == "1.0" else f" (since {check.since})"
    return f"{code(check.name)}{new}", plain(check.proves), check.scope.name.lower(), plain(needs) or "nothing"


def scopes() -> str:
    """Return the table of scopes."""
    return table(("about", "made"), [(scope.name.lower(), plain(scope.value)) for scope in Scope])


def capabilities() -> str:
    """Return the table of capabilities: meaning, hint, and number of checks that need it."""
    needing: dict[str, list[Check]] = {}
    hints: dict[str, Capability] = {}
    for check in CHECKS:
        for capability in check.needs:
            needing.setdefault(capability.name, []).append(check)
            hints[capability.name] = capability
    return table(
        ("capability", "hint", "checks that need it"),
        [(plain(name), plain(hints[name].hint), f"{len(those)} of {len(CHECKS)}") for name, those in needing.items()],
        right=("checks that need it",),
    )


def kit() -> str:
    """Return the release of the kit and its number of checks."""
    return f"This is release {KIT} of the kit; it has {len(CHECKS)} checks."
