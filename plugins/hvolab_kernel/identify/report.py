# SPDX-License-Identifier: GPL-2.0-only
"""Report of the release that a kernel is taken for: the reason, and its differences from the default release."""

from __future__ import annotations

from rich.table import Table

from hvolab.cli.output import table
from hvolab.cli.releases_report import UNKNOWN
from hvolab.release import DEFAULT, KernelRelease


def departures_table(release: KernelRelease) -> Table | None:
    """Return the changes by which a release differs from the default release, with commits; None: there are none."""
    more, fewer = release.differences(DEFAULT)
    if not more and not fewer:
        return None
    rows = table(f"difference of {release} from {DEFAULT}", f"in {release}", "commit")
    for column in rows.columns:
        column.no_wrap, column.overflow = False, "fold"
    for changes, present in ((more, "yes"), (fewer, "not yet")):
        for change in changes:
            rows.add_row(change.sentence, present, change.commit or UNKNOWN)
    return rows
