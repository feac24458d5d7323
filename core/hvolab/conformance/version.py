"""Releases of the kit: which of its checks are advisory for a plugin that was written for an earlier one."""

from __future__ import annotations

import re

from hvolab.conformance import KIT
from hvolab.errors import UsageError

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
