# SPDX-License-Identifier: GPL-2.0-only
"""The tables of kernel releases, generated from the table of the product."""

from __future__ import annotations

from collections.abc import Iterator

from hvolab.cli.releases_report import UNKNOWN, differences, opening
from hvolab.release import DEFAULT, RELEASES, KernelRelease

from .markdown import plain, table


def releases() -> str:
    """Return a section for every release, with its differences from the one before it."""
    return "\n".join(text for release in RELEASES for text in _section(release))


def _section(release: KernelRelease) -> Iterator[str]:
    default = ", the default" * (release is DEFAULT)
    yield f"## {release}\n"
    yield f"{plain(release.summary[0].upper() + release.summary[1:])} ({plain(opening(release))}{default}).\n"
    found = differences(release)
    if found:
        rows = [(one.part, plain(one.sentence), plain(one.commit or UNKNOWN)) for one in found]
        yield table(("part", "what the code does", "commit"), rows)
