"""Release of the kit, and the rule for plugins that were written for an earlier one."""

from __future__ import annotations

import re

from hvolab.errors import UsageError

#: Release of the kit. Checks that a minor release adds are advisory in it for plugins written for an earlier one.
KIT = "1.0"
#: Property of a pytest report in which a test of the kit carries its record.
PROPERTY = "hvolab.conformance"

_RELEASE = re.compile(r"([0-9]+)\.([0-9]+)")


def parse_release(text: str) -> tuple[int, int]:
    """Major and minor of a release, as `1.0`; raises UsageError."""
    match = _RELEASE.fullmatch(text)
    if match is None:
        raise UsageError(f"{text!r} is not a release of the kit", hint=f"write two numbers, as {KIT!r}")
    return int(match[1]), int(match[2])


def is_advisory(since: str, written_for: str, kit: str = KIT) -> bool:
    """Whether a check is advisory: it is newer than ``written_for``, and this is the minor release that added it."""
    return parse_release(written_for) < parse_release(since) == parse_release(kit)
