# SPDX-License-Identifier: GPL-2.0-only
"""Table of a release's differences from the default one."""

from __future__ import annotations

import pytest

from hvolab.cli.output import console
from hvolab.cli.releases_report import UNKNOWN
from hvolab.release import DEFAULT, RELEASES, KernelRelease
from hvolab_kernel.identify.report import departures_table


@pytest.mark.parametrize("release", RELEASES, ids=str)
def test_each_change_is_a_row_with_its_commit(
    release: KernelRelease, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    more, fewer = release.differences(DEFAULT)
    table = departures_table(release)
    assert (table is None) == (not more and not fewer)
    if table is None:
        return
    monkeypatch.setenv("COLUMNS", "400")
    console().print(table)
    heading, _, *rows = (line.split() for line in capsys.readouterr().out.splitlines())
    assert f"difference of {release} from {DEFAULT}" in " ".join(heading)
    assert [" ".join(row) for row in rows] == [
        f"{change.sentence} {present} {change.commit or UNKNOWN}"
        for changes, present in ((more, "yes"), (fewer, "not yet"))
        for change in changes
    ]
