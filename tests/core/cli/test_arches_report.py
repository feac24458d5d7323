# SPDX-License-Identifier: GPL-2.0-only
"""The report on architectures: savings for each huge page size, also those of a feature."""

from __future__ import annotations

import json

from hvolab.cli.arches_report import as_dict, savings
from hvolab.plugin import registry
from hvolab.serialize import as_data
from tests.made_up import MADE_UP, MODE


def test_the_savings_of_a_made_up_mode_are_worked_out_from_its_sizes() -> None:
    found = {each.size: each for each in savings(MODE)}
    assert sorted(found) == [2 << 20, 32 << 20, 128 << 20]
    gain = found[128 << 20]
    # 8192 pages of 16 KiB with 64 bytes of struct page each: 32 pages of vmemmap, of which one stays
    assert (gain.vmemmap_pages, gain.frames_saved) == (32, 31)
    assert gain.percent_saved == 96.88
    assert as_data(gain)["percent_saved"] == 96.88


def test_the_data_of_every_architecture_is_json() -> None:
    for architecture in (MADE_UP, *registry().architectures().values()):
        data = json.loads(json.dumps(as_dict(architecture)))
        assert data["name"] == architecture.name
        assert [mode["name"] for mode in data["modes"]] == [mode.name for mode in architecture.modes]
