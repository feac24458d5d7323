# SPDX-License-Identifier: GPL-2.0-only
"""The report on architectures: savings for each huge page size, also those of a feature."""

from __future__ import annotations

import json
from dataclasses import replace

from rich.console import Console

from hvolab.arch import PageFlags
from hvolab.cli.arches_report import ArchitectureData, data_of, render, savings
from hvolab.plugin import registry
from hvolab.schema import schema_of
from hvolab.serialize import as_data
from tests.made_up import MADE_UP, MODE
from tests.schemas import faults


def test_the_savings_of_a_made_up_mode_are_worked_out_from_its_sizes() -> None:
    found = {each.size: each for each in savings(MODE)}
    assert sorted(found) == [2 << 20, 32 << 20, 128 << 20]
    gain = found[128 << 20]
    # 8192 pages of 16 KiB with 64 bytes of struct page each: 32 pages of vmemmap, of which one stays
    assert (gain.vmemmap_pages, gain.frames_saved) == (32, 31)
    assert gain.percent_saved == 96.88
    assert as_data(gain)["percent_saved"] == 96.88


def test_fields_of_struct_pages_flags_are_shown_by_release() -> None:
    flags = PageFlags(zones=("NORMAL",), node_bits=2, zone_bits=1, cpupid_bits=14, releases=("6.1",))
    architecture = replace(MADE_UP, page_flags=(flags, replace(flags, releases=(), cpupid_bits=0)))
    console = Console(width=120)
    with console.capture() as capture:
        console.print(render(architecture))
    (one, other) = (line.rstrip().split(maxsplit=3) for line in capture.get().splitlines() if "page flags" in line)
    assert one[2:] == ["6.1", "at most 4 nodes: 2 bits of node, 1 of zone, 14 of last CPU"]
    assert other[2:] == ["others", "at most 4 nodes: 2 bits of node, 1 of zone, 0 of last CPU"]
    assert [each.cpupid_bits for each in data_of(architecture).page_flags] == [14, 0]


def test_the_data_of_every_architecture_fit_the_schema() -> None:
    schema = schema_of(ArchitectureData)
    for architecture in (MADE_UP, *registry().architectures().values()):
        data = json.loads(json.dumps(as_data(data_of(architecture))))
        assert faults(schema, data) == []
        assert data["name"] == architecture.name
        assert [mode["name"] for mode in data["modes"]] == [mode.name for mode in architecture.modes]
