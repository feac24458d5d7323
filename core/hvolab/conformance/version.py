# SPDX-License-Identifier: GPL-2.0-only
"""Release of the kit, and the rule for plugins that were written for an earlier one."""

from __future__ import annotations

import re

from hvolab.errors import UsageError

#: Release of the kit. Checks that a minor release adds are advisory in it for plugins written for an earlier one.
KIT = "1.0"
#: Property of a pytest report in which a test of the kit carries its outcome.
PROPERTY = "hvolab.conformance"

_RELEASE = re.compile(r"([0-9]+)\.([0-9]+)")


def parse_release(text: str) -> tuple[int, int]:
    """Return major and minor number of a release such as `1.0`; raises UsageError for other text."""
    match = _RELEASE.fullmatch(text)
    if match is None:
        raise UsageError(f"{text!r} is not a release of the kit", hint=f"write two numbers, such as {KIT!r}")
    return int(match[1]), int(match[2])


def is_advisory(since: str, written_for: str, kit: str = KIT) -> bool:
    """Return True for a check that is newer than `written_for`, and was added by this minor release of the kit."""
    return parse_release(written_for) < parse_release(since) == parse_release(kit)
