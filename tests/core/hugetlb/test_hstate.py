# SPDX-License-Identifier: GPL-2.0-only
"""Hstates of a machine, their counters, and nodes in turn."""

from __future__ import annotations

import pytest

from hvolab.hugetlb import Hstate, hstates
from hvolab.hugetlb.hstate import max_page_order
from hvolab.machine import MachineSpec, build_machine
from hvolab.plugin import registry
from tests.machines import GIB, MIB, x86_64


def test_every_huge_page_size_has_an_hstate() -> None:
    machine = build_machine(x86_64(), MachineSpec(memory=256 * MIB))
    small, large = hstates(machine)
    assert (small.size, small.order, small.gigantic, small.demote_order) == (2 * MIB, 9, False, 0)
    assert (large.size, large.order, large.gigantic, large.demote_order) == (GIB, 18, True, 9)


def test_sizes_above_the_page_allocators_are_gigantic() -> None:
    machine = build_machine(registry().architecture("arm64").select("4K-48bit"), MachineSpec(memory=256 * MIB))
    assert [(h.order, h.gigantic) for h in hstates(machine)] == [(4, False), (9, False), (13, True), (18, True)]
    assert [h.gigantic for h in hstates(machine, max_order=13)] == [False, False, False, True]


@pytest.mark.parametrize(
    ("architecture", "mode", "features", "orders"),
    [
        ("x86_64", None, (), [0, 9]),
        ("arm64", "4K-48bit", (), [0, 4, 9, 13]),
        ("arm64", "16K-48bit", (), [0, 7, 11]),
        ("arm64", "64K-48bit", (), [0, 5, 13]),
        ("riscv", None, (), [0, 9]),
        ("riscv", None, ("svnapot",), [0, 4, 9]),
    ],
)
def test_each_hstate_is_demoted_to_the_next_smaller_one(
    architecture: str, mode: str | None, features: tuple[str, ...], orders: list[int]
) -> None:
    target = registry().architecture(architecture).select(mode, features=features)
    found = hstates(build_machine(target, MachineSpec(memory=256 * MIB)))
    assert [h.demote_order for h in found] == orders
    assert {h.nr_overcommit_huge_pages for h in found} == {(1 << 64) - 1}


def test_counters_are_those_of_the_nodes_together() -> None:
    h = hstates(build_machine(x86_64(), MachineSpec(memory=GIB, nodes=2)))[0]
    h.count(1, nr=3, free=2, surplus=1)
    h.count(0, nr=1)
    assert (h.nr, h.free, h.surplus, h.persistent) == (4, 2, 1, 3)
    assert (h.nr_node, h.free_node, h.surplus_node) == ([1, 3], [0, 2], [0, 1])


def test_nodes_are_tried_in_turn_from_where_the_last_call_stopped() -> None:
    h = hstates(build_machine(x86_64(), MachineSpec(memory=GIB, nodes=3)))[0]
    assert next(h.nodes_to("alloc")) == 0
    assert list(h.nodes_to("alloc")) == [1, 2, 0]
    assert next(h.nodes_to("alloc")) == 1
    assert list(h.nodes_to("free")) == [0, 1, 2]


def test_surplus_is_taken_back_or_made_on_the_nodes_in_turn_or_on_one() -> None:
    h = hstates(build_machine(x86_64(), MachineSpec(memory=GIB, nodes=2)))[0]
    h.count(0, nr=2)
    h.count(1, nr=2, surplus=1)
    assert h.adjust_surplus(-1, None)
    assert (h.surplus_node, h.next_node) == ([0, 0], {"alloc": 0, "free": 0})
    assert h.adjust_surplus(-1, None) is False
    assert [h.adjust_surplus(1, 0) for _ in range(3)] == [True, True, False]
    assert h.adjust_surplus(1, 1)
    assert h.surplus_node == [2, 1]
    assert [h.adjust_surplus(-1, 1) for _ in range(2)] == [True, False]
    assert h.adjust_surplus(1, None)
    assert (h.surplus, h.surplus_node, h.next_node["free"]) == (3, [2, 1], 0)
    h.next_node.update(alloc=0, free=0)
    assert h.adjust_surplus(-1, None)
    assert (h.surplus_node, h.next_node) == ([1, 1], {"alloc": 1, "free": 0})


def test_persistent_folios_are_those_that_are_not_surplus() -> None:
    h = hstates(build_machine(x86_64(), MachineSpec(memory=GIB, nodes=2)))[0]
    h.count(1, nr=3, surplus=1)
    assert (h.persistent, h.persistent_on(0), h.persistent_on(1)) == (2, 0, 2)


@pytest.mark.parametrize(
    ("nr", "free", "surplus", "spared"),
    [(4, 1, 1, 2), (4, 3, 2, 1), (5, 2, 4, 1), (3, 3, 0, 0)],
    ids=["fewer free than persistent", "more free", "less than the surplus", "all free"],
)
def test_folios_in_use_are_kept_persistent_ones_or_all(nr: int, free: int, surplus: int, spared: int) -> None:
    h = hstates(build_machine(x86_64(), MachineSpec(memory=256 * MIB)))[0]
    h.count(0, nr=nr, free=free, surplus=surplus)
    assert h.in_use(spares_surplus=False) == nr - free
    assert h.in_use(spares_surplus=True) == spared


def test_the_page_allocator_has_orders_up_to_10_or_that_of_a_pmd() -> None:
    arm64 = registry().architecture("arm64")
    modes = x86_64().mode, arm64.select("16K-48bit").mode, arm64.select("64K-48bit").mode
    assert [max_page_order(mode) for mode in modes] == [10, 11, 13]


@pytest.mark.parametrize(
    ("mode", "orders"), [("4K-48bit", [0, 0, 9, 13]), ("16K-48bit", [0, 0, 11]), ("64K-48bit", [0, 0, 13])]
)
def test_with_areas_for_gigantic_folios_those_up_to_a_pmd_are_not_demoted(mode: str, orders: list[int]) -> None:
    machine = build_machine(registry().architecture("arm64").select(mode), MachineSpec(memory=256 * MIB))
    assert [h.demote_order for h in hstates(machine, cma=True)] == orders


def test_an_hstate_by_itself_is_empty_and_not_demoted() -> None:
    (huge_page, *_), heads = x86_64().mode.huge_pages, ()
    h = Hstate(huge_page, 9, gigantic=False, freelists=heads)
    assert (h.nr, h.free, h.surplus, h.resv, h.max_huge_pages, h.demote_order) == (0,) * 6
