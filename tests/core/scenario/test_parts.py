"""Parts of a result as data, and findings joined."""

from __future__ import annotations

from hvolab.hvo import VmemmapSizes
from hvolab.invariants import Finding
from hvolab.invariants.rules.content import CONTENT
from hvolab.invariants.rules.pool import POOL
from hvolab.scenario import MachineCounts, PoolReport
from hvolab.scenario.parts import counted
from tests.machines import MIB, x86_64

SMALLEST = x86_64().mode.huge_pages[0]


def test_a_pool_counts_its_pages_and_the_frames_that_it_saves() -> None:
    report = PoolReport(SMALLEST, VmemmapSizes(9, 4096, 64), 8, (3, 2), free=4, surplus=1, optimized=5)
    assert (report.pages, report.frames_saved) == (5, 35)
    data = report.as_dict()
    assert (data["name"], data["size"], data["bytes_saved"]) == ("2M", 2 * MIB, 35 * 4096)
    assert (data["pages"], data["free"], data["surplus"], data["pages_per_node"]) == (5, 4, 1, [3, 2])


def test_the_vmemmap_is_backed_by_pages_of_both_counters() -> None:
    assert MachineCounts(nr_memmap_pages=5, nr_memmap_boot_pages=7, key=1, free_frames=0).memmap_total == 12


def test_findings_that_differ_in_their_place_alone_are_counted_together() -> None:
    findings = [
        Finding(CONTENT, "wrong", "VA 0x1", since=3),
        Finding(POOL, "wrong"),
        Finding(CONTENT, "wrong", "VA 0x2", since=4),
        Finding(CONTENT, "wrong", "VA 0x2", declared=True),
    ]
    joined = counted(findings)
    assert [(each.finding.rule, each.count, each.finding.where) for each in joined] == [
        ("content", 2, "VA 0x1"),
        ("pool", 1, ""),
        ("content", 1, "VA 0x2"),
    ]
    assert joined[0].as_dict()["count"] == 2
