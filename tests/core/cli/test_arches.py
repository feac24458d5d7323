# SPDX-License-Identifier: GPL-2.0-only
"""`hvolab arches`: what is described, and what HVO saves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from hvolab.plugin import registry
from hvolab.release import DEFAULT, RELEASES
from tests.core.cli.conftest import Invoke


def test_the_tables_read_well(invoke: Invoke, snapshot: SnapshotAssertion) -> None:
    offered = ", ".join(map(str, registry().architecture("x86_64").offered))
    assert invoke("arches", "x86_64").stdout.replace(offered, "RELEASES") == snapshot


def test_no_line_is_wider_than_a_hundred_columns_or_has_blanks_at_its_end(invoke: Invoke) -> None:
    lines = invoke("arches").stdout.splitlines()
    assert lines
    assert max(map(len, lines)) <= 100
    assert [line for line in lines if line != line.rstrip()] == []


@pytest.mark.parametrize(
    ("architecture", "mode", "size", "expected"),
    [
        ("x86_64", "4-level", "2M", (8, 7, 7 << 12, 87.5)),
        ("x86_64", "5-level", "1G", (4096, 4095, 4095 << 12, 99.98)),
        ("arm64", "4K-48bit", "64K", (1, 0, 0, 0)),
        ("arm64", "4K-48bit", "32M", (128, 127, 127 << 12, 99.22)),
        ("arm64", "16K-47bit", "1G", (256, 255, 255 << 14, 99.61)),
        ("arm64", "64K-48bit", "512M", (8, 7, 7 << 16, 87.5)),
        ("riscv", "Sv39", "1G", (4096, 4095, 4095 << 12, 99.98)),
    ],
)
def test_what_hvo_saves_for_a_size(
    invoke_json: Callable[..., Any], architecture: str, mode: str, size: str, expected: tuple[int, int, int, float]
) -> None:
    [described] = invoke_json("arches", architecture)
    modes = {entry["name"]: entry for entry in described["modes"]}
    sizes = {page["name"]: page for page in modes[mode]["huge_pages"]}
    keys = ("vmemmap_pages", "frames_saved", "bytes_saved", "percent_saved")
    assert tuple(sizes[size][key] for key in keys) == expected
    assert sizes[size]["optimizable"] is bool(expected[1])


def test_a_size_that_only_a_feature_has_stands_with_the_feature(invoke_json: Callable[..., Any]) -> None:
    [described] = invoke_json("arches", "riscv64")
    features = {feature["name"]: feature for feature in described["features"]}
    assert [page["name"] for page in features["svnapot"]["huge_pages"]] == ["64K"]
    assert features["svpbmt"]["huge_pages"] == []


def test_json_tells_what_can_be_chosen_and_how_the_architecture_behaves(invoke_json: Callable[..., Any]) -> None:
    [described] = invoke_json("arches", "amd64")
    assert described["name"] == "x86_64"
    assert "amd64" in described["aliases"]
    assert described["profiles"] == ["linux", "strict"]
    assert described["releases"] == ["6.12", *(str(each) for each in RELEASES if each.anywhere and each is not DEFAULT)]
    assert {feature["name"] for feature in described["features"]} >= {"pti", "sme"}
    assert described["traits"]["live_entries"] == "free"
    assert described["tails_fault"] == {"linux": True, "strict": True}
    mode = described["modes"][0]
    assert (mode["page_size"], mode["va_bits"], mode["pa_bits"]) == (4096, 48, 52)
    assert [level["name"] for level in mode["levels"]] == ["pgd", "pud", "pmd", "pte"]
    assert mode["vmemmap_base"] == "0xffffea0000000000"


def test_releases_that_can_be_selected_are_listed_and_those_with_a_declaration_of_their_own(invoke: Invoke) -> None:
    rows = [
        line.split(maxsplit=1)[1] for line in invoke("arches").stdout.splitlines() if line.startswith("  releases ")
    ]
    for architecture, row in zip(registry().architectures().values(), rows, strict=True):
        listed, _, own = row.partition("; declared apart: ")
        for name in listed.split(", "):
            assert architecture.select(release=name).release.name == name
        assert own.split(", ") == [*architecture.releases[1:]] or (not own and len(architecture.releases) == 1)


def test_every_architecture_is_listed_where_none_is_named(invoke_json: Callable[..., Any]) -> None:
    assert [described["name"] for described in invoke_json("arches")] == list(registry().architectures())


def test_an_unknown_architecture_is_refused_with_those_that_there_are(invoke: Invoke) -> None:
    result = invoke("arches", "x68_64")
    assert result.exit_code == 2
    assert "no architecture is called 'x68_64'" in result.stderr
    assert "did you mean 'x86_64'" in result.stderr
