# SPDX-License-Identifier: GPL-2.0-only
"""Truncated and garbled cores: a result or an error, never a traceback or an endless loop."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from hvolab.errors import HvolabError
from hvolab.serialize import as_data
from hvolab_vmcore.commands.replay_report import report_of
from hvolab_vmcore.commands.report_data import scan_data
from hvolab_vmcore.core.snapshot import open_snapshot
from hvolab_vmcore.page.view import view_page
from hvolab_vmcore.replay.replay import replay
from hvolab_vmcore.scan.scan import scan
from tests.plugins.hvolab_vmcore.changed_cores import (
    FIRST_FOLIO,
    GIGANTIC,
    OPTIMIZED_1G,
    OPTIMIZED_2M,
    RESTORED,
    damaged,
)

#: Struct pages that are looked at, one of each copy: head, tails, shared tails.
PLACES = (FIRST_FOLIO, FIRST_FOLIO + 1, FIRST_FOLIO + 64, FIRST_FOLIO + 511, GIGANTIC + 64)


@pytest.mark.slow
@pytest.mark.parametrize("core", [OPTIMIZED_2M, OPTIMIZED_1G], ids=lambda core: core.name)
def test_damaged_cores_are_inspected_or_refused(core: Path, tmp_path: Path) -> None:
    path, outcomes = tmp_path / "damaged.core", Counter[str]()
    for number, content in enumerate(damaged(core, 150, seed=1)):
        path.write_bytes(content)
        try:
            found = scan(open_snapshot(path))
            scan_data(found)
            as_data(view_page(found, PLACES[number % len(PLACES)]))
        except HvolabError as error:
            assert error.what  # noqa: PT017 - some copies can still be read
            outcomes["refused"] += 1
        else:
            outcomes["findings" if found.kinds() else "fine"] += 1
    assert min(outcomes[kind] for kind in ("refused", "findings", "fine")) > 10


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "after", "which"), [(OPTIMIZED_1G, RESTORED, "before"), (OPTIMIZED_2M, OPTIMIZED_1G, "after")]
)
def test_damaged_cores_are_replayed_or_refused(before: Path, after: Path, which: str, tmp_path: Path) -> None:
    path, outcomes = tmp_path / "damaged.core", Counter[str]()
    for content in damaged(before if which == "before" else after, 25, seed=2):
        path.write_bytes(content)
        try:
            outcome = replay(path if which == "before" else before, path if which == "after" else after)
        except HvolabError as error:
            assert error.what  # noqa: PT017 - some copies can still be read
            outcomes["refused"] += 1
        else:
            report_of(outcome)
            outcomes["replayed"] += 1
    assert min(outcomes[kind] for kind in ("refused", "replayed")) > 3
