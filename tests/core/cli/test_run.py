# SPDX-License-Identifier: GPL-2.0-only
"""`hvolab run`: what it shows, what it says in JSON, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from typer.testing import CliRunner

from hvolab.cli.app import build_app
from hvolab.plugin import registry
from hvolab.scenario import OPERATIONS
from hvolab_x86_64.description import X86_64
from tests.core.cli.conftest import Invoke
from tests.core.plugin.conftest import site
from tests.core.plugin.site import COPY, Site

__all__ = ["site"]

X86 = ("--arch", "x86_64")
SMALL = ("--memory", "256M", "--hugepages", "2M=2")


@pytest.fixture(scope="module")
def default_report() -> Any:
    """What `hvolab run --arch x86_64 --json` prints."""
    result = CliRunner().invoke(build_app(), ["run", *X86, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.mark.slow
def test_the_report_reads_well(invoke: Invoke, snapshot: SnapshotAssertion) -> None:
    result = invoke("run", *X86)
    assert result.exit_code == 0
    assert result.stdout == snapshot


def test_the_report_fits_a_terminal_of_eighty_columns(
    invoke: Invoke, snapshot: SnapshotAssertion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    result = invoke("run", "--arch", "riscv", *SMALL, "--fail-allocation", "9")
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert result.stdout == snapshot


@pytest.mark.slow
def test_json_tells_what_was_saved_and_that_everything_holds(default_report: Any) -> None:
    report = default_report
    chosen = {key: report[key] for key in ("architecture", "mode", "profile", "release", "features")}
    assert chosen == {
        "architecture": "x86_64",
        "mode": "4-level",
        "profile": "linux",
        "release": "6.12",
        "features": [],
    }
    pools = {pool["name"]: pool for pool in report["hugepages"]}
    assert [(name, pool["pages"], pool["optimized"]) for name, pool in pools.items()] == [("2M", 8, 8), ("1G", 1, 1)]
    assert (pools["2M"]["frames_saved"], pools["1G"]["frames_saved"]) == (56, 4095)
    assert report["frames_saved"] == 56 + 4095
    assert report["bytes_saved"] == (56 + 4095) << 12
    assert report["percent_saved"] == round(100 * (56 + 4095) / (64 + 4096), 2)
    assert report["invariants"] == {"boot": True, "optimized": True, "restored": True}
    assert report["findings"] == []
    assert report["as_declared"] is True
    assert report["failed_allocation"] is None


@pytest.mark.slow
def test_json_counts_as_the_kernel_does(default_report: Any) -> None:
    counters = default_report["counters"]
    totals = {stage: counts["nr_memmap_pages"] + counts["nr_memmap_boot_pages"] for stage, counts in counters.items()}
    assert totals == {"boot": 16384, "optimized": 16384 - 4151, "restored": 16384}
    assert [counts["key"] for counts in counters.values()] == [0, 9, 0]


def test_json_tells_one_folio_of_each_size_before_and_after(invoke_json: Callable[..., Any]) -> None:
    [folio] = invoke_json("run", *X86, *SMALL)["folios"]
    [before] = folio["before"]
    head, tails = folio["after"]
    assert (before["pages"], before["entries"], before["level"]) == (8, 1, "pmd")
    assert (before["writable"], before["step"]) == (True, 1)
    assert (head["pages"], head["level"], head["writable"]) == (1, "pte", True)
    assert (tails["pages"], tails["writable"], tails["step"], tails["pfn"]) == (7, False, 0, head["pfn"])
    assert [int(part["last"], 16) - int(part["first"], 16) for part in folio["freed"]] == [7]
    assert all(run["writable"] and run["level"] == "pte" for run in folio["restored"])


def test_stores_to_tails_fault_where_tails_are_read_only(invoke_json: Callable[..., Any]) -> None:
    [stores] = invoke_json("run", *X86, *SMALL)["stores"]
    assert (stores["tried"], stores["faulted"], stores["landed"]) == (7, 7, [])
    assert "permission fault: write at VA 0xffffea" in stores["fault"]


def test_a_writable_tail_that_is_declared_is_told_and_does_not_fail_the_run(invoke_json: Callable[..., Any]) -> None:
    report = invoke_json("run", "--arch", "riscv", *SMALL)
    [finding] = report["findings"]
    assert (finding["rule"], finding["declared"]) == ("stores", True)
    assert finding["where"].startswith("VA 0x")
    [stores] = report["stores"]
    assert stores["faulted"] == 0
    assert stores["seen_at_head"] is True
    assert {hit["pfn"] for hit in stores["landed"]} == {report["folios"][0]["after"][0]["pfn"]}
    assert not any(hit["stale"] for hit in stores["landed"])


def test_the_strict_profile_has_nothing_to_declare_about_tails(invoke_json: Callable[..., Any]) -> None:
    report = invoke_json("run", "--arch", "riscv", "--profile", "strict", *SMALL)
    assert report["findings"] == []
    assert report["stores"][0]["faulted"] == 7


def test_live_replacements_that_are_declared_are_counted_as_one_finding(invoke_json: Callable[..., Any]) -> None:
    report = invoke_json("run", "--arch", "arm64", *SMALL)
    [finding] = report["findings"]
    assert (finding["rule"], finding["declared"]) == ("live_entries", True)
    assert finding["count"] > 1
    assert finding["where"]


def test_what_is_not_declared_fails_the_run(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    forgetful = replace(X86_64, name="forgetful", traits=replace(X86_64.traits, flush_all_effective=False))
    known = {**registry().architectures(), "forgetful": forgetful}
    monkeypatch.setattr(type(registry()), "architecture", lambda _, name: known[name])
    result = invoke("run", "--arch", "forgetful", *SMALL)
    assert result.exit_code == 1
    assert "not declared by the description" in result.stdout
    assert "finding" in result.stdout


@pytest.mark.parametrize(
    ("number", "happened", "pages"), [(1, True, 0), (2, True, 1), (4, True, 2), (9, True, 2), (500, False, 2)]
)
def test_a_failing_allocation_still_gives_a_report(
    invoke_json: Callable[..., Any], number: int, happened: bool, pages: int
) -> None:
    report = invoke_json("run", *X86, *SMALL, "--fail-allocation", str(number))
    assert report["failed_allocation"]["happened"] is happened
    assert report["hugepages"][0]["pages"] == pages
    assert report["hugepages"][0]["left"] == 0
    assert all(report["invariants"].values())


def test_a_failing_allocation_is_named(invoke: Invoke) -> None:
    result = invoke("run", *X86, *SMALL, "--fail-allocation", "8")
    assert "while they were drained: order 0, GFP_KERNEL|__GFP_RETRY_MAYFAIL" in result.stdout
    assert "call 500 was never made: there were" in invoke("run", *X86, *SMALL, "--fail-allocation", "500").stdout


@pytest.mark.parametrize(
    ("arguments", "message", "advice"),
    [
        (("--hugepages", "1G=4"), "huge pages (4 of 1 GiB) do not fit into 4 GiB of memory", "--memory 5G"),
        (("--hugepages", "2M=100000"), "do not fit into 4 GiB", "request fewer or smaller pages"),
        (("--hugepages", "3M=1"), "x86_64 4-level has no huge pages of 3 MiB", "the sizes are 2M, 1G"),
        (("--hugepages", "2M"), "has no count of pages", "2M=8,1G=1"),
        (("--memory", "lots"), "'lots' is not a size", "4GiB"),
        (("--memory", "0", "--hugepages", "2M=0"), "a machine needs memory", "positive"),
        (("--mode", "6-level"), "no paging mode '6-level'", "4-level, 5-level"),
        (("--profile", "lax"), "no profile 'lax'", "linux, strict"),
        (("--release", "2.4"), "kernel release '2.4'", "6.12"),
        (("--feature", "sse"), "no feature 'sse'", "pti, sme"),
        (("--arch", "z80"), "no architecture is called 'z80'", "choose one of "),
    ],
)
def test_wrong_use_is_told_in_a_sentence_with_a_way_out(
    invoke: Invoke, arguments: tuple[str, ...], message: str, advice: str
) -> None:
    result = invoke("run", *X86, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert advice in result.stderr


@pytest.mark.parametrize("option", ["--nodes", "--fail-allocation"])
def test_numbers_begin_with_one(invoke: Invoke, option: str) -> None:
    assert invoke("run", *X86, option, "0").exit_code == 2


def test_the_hosts_architecture_is_the_default(
    invoke_json: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert invoke_json("run", *SMALL)["architecture"] == "arm64"
    monkeypatch.setattr("platform.machine", lambda: "pdp11")
    assert invoke_json("run", *SMALL)["architecture"] == next(iter(registry().architectures()))


@pytest.mark.slow
def test_a_strangers_architecture_is_run_like_any_other(site: Site, spawn: Any) -> None:
    site.install("z80", COPY.format(name="z80", aliases=()))
    result = spawn("run", "--arch", "z80", *SMALL)
    assert result.returncode == 0
    assert result.stdout.startswith("z80, 4-level")


def test_requested_operations_are_shown_one_by_one(invoke: Invoke, snapshot: SnapshotAssertion) -> None:
    result = invoke("run", *X86, *SMALL, "--do", "optimize, use 2M, dissolve 2M 2, shrink, free 2M")
    assert result.exit_code == 0
    assert result.stdout == snapshot


def test_json_has_every_requested_operation(invoke_json: Callable[..., Any]) -> None:
    report = invoke_json("run", *X86, *SMALL, "--do", "optimize,surplus 2M 2,shrink")
    operations = report["operations"]
    assert [(each["operation"], each["done"], each["requested"], each["error"]) for each in operations] == [
        ("optimize", 2, 2, 0),
        ("surplus 2M 2", 2, 2, 0),
        ("shrink", 2, 2, 0),
    ]
    pools = [each["hugepages"][0] for each in operations]
    assert [(pool["pages"], pool["surplus"], pool["free"], pool["optimized"]) for pool in pools] == [
        (2, 0, 2, 2),
        (4, 2, 2, 4),
        (4, 4, 2, 4),  # pages in use, surplus or not, keep as many free ones, up to v6.16
    ]
    stages = [each["stage"] for each in operations]
    assert [*report["counters"]] == [*report["invariants"]] == ["boot", *stages]
    assert [*report["work"]] == stages
    assert report["frames_saved"] == 28
    assert invoke_json("run", *X86, *SMALL)["operations"] == []


def test_a_failing_allocation_names_the_requested_operation(invoke: Invoke) -> None:
    result = invoke("run", *X86, *SMALL, "--do", "optimize, dissolve 2M", "--fail-allocation", "6")
    assert "during 2 dissolve 2M: order 0, GFP_KERNEL|__GFP_RETRY_MAYFAIL" in result.stdout
    assert "2  dissolve 2M  0 of 1, -ENOMEM" in result.stdout


def test_wrong_operations_are_refused_with_the_right_ones(invoke: Invoke) -> None:
    result = invoke("run", *X86, "--do", "optimize, demolish 2M")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "unknown operation 'demolish'" in result.stderr
    assert "where: operation 2 of 2, 'demolish 2M'" in result.stderr
    assert "choose one of optimize, shrink" in result.stderr


def test_the_help_lists_every_operation(invoke: Invoke) -> None:
    text = " ".join(invoke("run", "--help").stdout.split())
    for operation in OPERATIONS.values():
        assert f"{operation.syntax}: {operation.help}" in text
