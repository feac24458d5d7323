# SPDX-License-Identifier: GPL-2.0-only
"""Boot parameters of hugetlb. Values are those of the functions of mm/hugetlb.c, compiled from Debian's 6.12.117."""

from __future__ import annotations

import pytest

from hvolab.hugetlb import BootRequests, cma_areas, parse_hugetlb
from hvolab.hvo.command_line import parse_args
from hvolab.units import NodeCounts
from tests.machines import GIB, MIB


def requests(text: str) -> BootRequests:
    """The requests of a command line on three nodes, with three sizes of which 2 MiB is the default."""
    return parse_hugetlb(parse_args(text), [2 * MIB, 32 * MIB, GIB], 2 * MIB, 3)


@pytest.mark.parametrize(
    ("text", "pages"),
    [
        ("", {}),
        ("hugepages=5", {2 * MIB: 5}),
        ("hugepages=5x", {2 * MIB: 5}),
        ("hugepages=0:2,1:3", {2 * MIB: NodeCounts({0: 2, 1: 3})}),
        ("hugepages=0:2,", {2 * MIB: NodeCounts({0: 2})}),
        ("hugepages=0:0", {}),
        ("hugepagesz=1G hugepages=2 hugepagesz=32M hugepages=1:1", {GIB: 2, 32 * MIB: NodeCounts({1: 1})}),
        ("hugepagesz=0x40000000 hugepages=1", {GIB: 1}),
        ("hugepagesz=1GB hugepages=1", {GIB: 1}),
        ("default-hugepagesz=1G hugepages=3", {GIB: 3}),
        ("hugepages=3 default_hugepagesz=1G", {GIB: 3}),
        ("default_hugepagesz=1G hugepagesz=1G hugepages=3", {GIB: 3}),
        ("hugetlb_free_vmemmap=on hugepages hugepages=4", {2 * MIB: 4}),
        ('"hugepages=0:1, 1:2"', {2 * MIB: NodeCounts({0: 1, 1: 2})}),
    ],
)
def test_pages_belong_to_the_size_before_them(text: str, pages: dict[int, int]) -> None:
    found = requests(text)
    assert found.pages == pages
    by_node = [count.nodes for count in found.pages.values() if isinstance(count, NodeCounts)]
    assert by_node == [count.nodes for count in pages.values() if isinstance(count, NodeCounts)]
    assert not found.messages


@pytest.mark.parametrize(
    ("text", "pages", "messages"),
    [
        ("hugepages=x", {}, ["Invalid hugepages parameter x"]),
        ("hugepages=-1", {}, ["Invalid hugepages parameter -1"]),
        ("hugepages=0:1,7", {}, ["Invalid hugepages parameter 7"]),
        ("hugepages=0:1,3:1", {}, ["Invalid hugepages parameter 3:1"]),
        ("hugepages=1:x hugepages=2", {2 * MIB: 2}, ["Invalid hugepages parameter x"]),
        (
            "hugepages=1 hugepages=2",
            {2 * MIB: 1},
            ["hugepages= specified twice without interleaving hugepagesz=, ignoring hugepages=2"],
        ),
        (
            "hugepagesz=4M hugepages=1 hugepages=2",
            {2 * MIB: 2},
            ["unsupported hugepagesz=4M", "hugepages=1 does not follow a valid hugepagesz, ignoring"],
        ),
        (
            "hugepagesz=1G hugepages=1 hugepagesz=1G hugepages=2",
            {GIB: 1},
            [
                "hugepagesz=1G specified twice, ignoring",
                "hugepages=2 does not follow a valid hugepagesz, ignoring",
            ],
        ),
        (
            "default_hugepagesz=1G hugepages=1 default_hugepagesz=2M hugepages=2",
            {GIB: 1},
            [
                "default_hugepagesz previously specified, ignoring 2M",
                "hugepages=2 does not follow a valid hugepagesz, ignoring",
            ],
        ),
        (
            "default_hugepagesz=3M hugepages=2",
            {},
            ["unsupported default_hugepagesz=3M", "hugepages=2 does not follow a valid hugepagesz, ignoring"],
        ),
        (
            "hugepages=7 hugepagesz=2M hugepages=1",
            {2 * MIB: 7},
            [
                "Ignoring hugepages=1 associated with 2.00 MiB page size",
                "Using hugepages=7 for number of default huge pages",
            ],
        ),
        # a default size that exists already is not made the current one: its pages belong to the size before it
        (
            "hugepagesz=1G hugepagesz=32M default_hugepagesz=1G hugepages=2",
            {32 * MIB: 2},
            [],
        ),
    ],
)
def test_what_has_no_meaning_is_ignored_with_the_kernels_message(
    text: str, pages: dict[int, int], messages: list[str]
) -> None:
    found = requests(text)
    assert found.pages == pages
    assert found.messages == tuple(f"HugeTLB: {message}" for message in messages)


def test_sizes_are_named_with_three_digits() -> None:
    def ignored(default: int) -> str:
        text = f"hugepages=7 hugepagesz={default} hugepages=1"
        return parse_hugetlb(parse_args(text), [default], default, 1).messages[0]

    assert [ignored(size).split("with ")[1] for size in (64 << 10, 512 * MIB, 16 * GIB)] == [
        "64.0 KiB page size",
        "512 MiB page size",
        "16.0 GiB page size",
    ]


@pytest.mark.parametrize(
    ("text", "size", "nodes"),
    [
        ("3G", 3 * GIB, {}),
        ("0:1G,2:0x40000000", 2 * GIB, {0: GIB, 2: GIB}),
        ("0:1G,", GIB, {0: GIB}),
        ("0:1G,x", GIB, {0: GIB}),
        ("0:1G,2G", 0, {0: GIB}),
        ("1024:1G", 0, {}),
        ("x", 0, {}),
        ("1G hugetlb_cma=0:1G", 2 * GIB, {0: GIB}),
    ],
)
def test_areas_are_requested_in_sum_or_by_node(text: str, size: int, nodes: dict[int, int]) -> None:
    found = requests(f"hugetlb_cma={text}")
    assert (found.cma, found.cma_nodes) == (size, nodes)


def test_the_default_size_is_named_or_that_of_the_architecture() -> None:
    assert [requests(text).default_size for text in ("", "default_hugepagesz=1G", "default_hugepagesz=3M")] == [
        2 * MIB,
        GIB,
        2 * MIB,
    ]


@pytest.mark.parametrize(
    ("text", "enabled", "messages"),
    [
        ("1G", True, []),
        ("512M", False, ["cma area should be at least 1024 MiB"]),
        ("0", False, []),
        ("0:1G,2:2G", True, []),
        ("0:1G,3:2G", True, ["invalid node 3 specified"]),
        ("3:2G", False, ["invalid node 3 specified"]),
        ("0:512M", False, ["cma area of node 0 should be at least 1024 MiB"]),
        ("0:1G,2G", False, []),
    ],
)
def test_an_area_has_room_for_a_page_on_a_node_that_is_online(text: str, enabled: bool, messages: list[str]) -> None:  # noqa: FBT001
    found = cma_areas(requests(f"hugetlb_cma={text}"), GIB, 3)
    assert found == (enabled, tuple(f"hugetlb_cma: {message}" for message in messages))
