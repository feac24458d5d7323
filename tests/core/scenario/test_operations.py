# SPDX-License-Identifier: GPL-2.0-only
"""Operations on pools: their language, and each of them on a machine."""

from __future__ import annotations

import errno
from dataclasses import replace

import pytest

from hvolab.arch import Target
from hvolab.errors import UsageError
from hvolab.machine.frames.failure import FailFrom
from hvolab.plugin import registry
from hvolab.scenario import (
    OPERATIONS,
    Outcome,
    ScenarioResult,
    ScenarioSpec,
    parse_boot,
    parse_operations,
    run_scenario,
)
from hvolab.scenario.operations import PoolSet
from hvolab.units import parse_hugepages
from tests.machines import GIB, MIB, Pools, pools, x86_64

TARGET = x86_64()


#: Its gigantic pages have 32 MiB.
SMALL_GIGANTIC = registry().architecture("arm64").select("4K-48bit")


def done(text: str, target: Target = TARGET, hugepages: dict[int, int] | None = None) -> ScenarioResult:
    """Run operations, by default with two pages of 2 MiB to optimize, and check that every invariant holds."""
    hugepages = {2 * MIB: 2} if hugepages is None else hugepages
    spec = ScenarioSpec(target, memory=512 * MIB, hugepages=hugepages, operations=parse_operations(text, target))
    result = run_scenario(spec)
    assert result.as_declared
    return result


def states(result: ScenarioResult, size: int = 2 * MIB) -> list[tuple[int, int, int, int]]:
    """Pages, free, surplus and optimized pages of a pool after each operation."""
    pools = [pool for stage in result.stages[1:] for pool in stage.pools if pool.huge_page.size == size]
    return [(pool.pages, pool.free, pool.surplus, pool.optimized) for pool in pools]


def outcomes(result: ScenarioResult) -> list[str]:
    return [str(stage.outcome) for stage in result.stages[1:]]


# the language


def test_operations_are_read_with_their_sizes_and_counts() -> None:
    requests = parse_operations(" optimize, demote 1G ,dissolve 2M 3,dissolve", TARGET)
    assert [(each.operation.name, each.size, each.count) for each in requests] == [
        ("optimize", None, 1),
        ("demote", GIB, 1),
        ("dissolve", 2 * MIB, 3),
        ("dissolve", None, 1),
    ]
    assert [str(each) for each in requests] == ["optimize", "demote 1G", "dissolve 2M 3", "dissolve"]
    assert str(parse_operations("resize 2M 1", TARGET)[0]) == "resize 2M 1"  # without its number, it could not be read


@pytest.mark.parametrize(
    ("text", "what", "where", "hint"),
    [
        ("", "an operation is missing", "operation 1 of 1, ''", "choose one of optimize, shrink, resize"),
        ("optimize,,shrink", "an operation is missing", "operation 2 of 3, ''", "choose one of optimize"),
        (
            "optimize, demot 1G",
            "unknown operation 'demot'",
            "operation 2 of 2, 'demot 1G'",
            "did you mean 'demote'?; choose one of optimize",
        ),
        ("demote", "demote needs SIZE", "'demote'", "write demote SIZE [COUNT]"),
        ("resize 2M", "resize needs COUNT", "'resize 2M'", "write resize SIZE COUNT"),
        ("shrink 2M 1", "shrink does not take '1'", "'shrink 2M 1'", "write shrink [SIZE]"),
        ("use 2M lots", "'lots' is not a number of pages", "'use 2M lots'", "write use SIZE [COUNT]"),
        ("use 2M -1", "'-1' is not a number of pages", "'use 2M -1'", "write use SIZE [COUNT]"),
        ("use 4M", "x86_64 4-level has no huge pages of 4 MiB", "'use 4M'", "the sizes are 2M, 1G"),
        ("use much", "'much' is not a size", "'use much'", "write a whole number of bytes"),
        ("optimize, boot 1G 2", "boot comes after optimize", "'boot 1G 2'", "put boot first"),
    ],
)
def test_what_is_wrong_is_named_with_its_place_and_a_hint(text: str, what: str, where: str, hint: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_operations(text, TARGET)
    assert str(refused.value).startswith(what)
    assert where in refused.value.where
    assert refused.value.hint.startswith(hint)


def test_every_operation_has_a_name_arguments_and_a_sentence() -> None:
    for name, operation in OPERATIONS.items():
        assert operation.syntax.startswith(f"{name} ")
        assert operation.help.endswith(".")


# on a machine


def test_operations_are_done_in_order_and_each_is_checked_at_rest() -> None:
    result = done("optimize, resize 2M 5, dissolve 2M 2, shrink")
    assert outcomes(result) == ["2 of 2", "3 of 3", "2 of 2", "3 of 3"]
    assert states(result) == [(2, 2, 0, 2), (5, 5, 0, 5), (3, 3, 0, 3), (0, 0, 0, 0)]
    assert [stage.name for stage in result.stages] == [
        "boot",
        "1 optimize",
        "2 resize 2M 5",
        "3 dissolve 2M 2",
        "4 shrink",
    ]
    assert result.frames_saved == 0
    assert result.stages[2].key == 5


def test_gigantic_pages_are_demoted_to_optimized_smaller_ones() -> None:
    result = done("optimize, demote 32M", SMALL_GIGANTIC, {32 * MIB: 1})
    assert outcomes(result) == ["1 of 1", "1 of 1"]
    assert states(result)[-1] == (16, 16, 0, 16)
    assert result.frames_saved == 16 * 7
    assert outcomes(done("demote 32M", SMALL_GIGANTIC)) == ["0 of 1"]


def test_reserved_pages_are_not_demoted() -> None:
    result = done("optimize, reserve 32M, demote 32M", SMALL_GIGANTIC, {32 * MIB: 1})
    assert outcomes(result) == ["1 of 1", "1 of 1", "0 of 1"]
    assert states(result, 32 * MIB)[-1] == (1, 1, 0, 1)


def test_the_smallest_pages_cannot_be_demoted() -> None:
    with pytest.raises(UsageError, match="cannot be demoted"):
        done("optimize, demote 2M")


@pytest.mark.slow
def test_pages_are_allocated_at_boot_as_far_as_memory_allows() -> None:
    result = done("boot 32M 99, shrink", SMALL_GIGANTIC)
    reserved, left = states(result, 32 * MIB)
    assert outcomes(result)[0] == f"{reserved[0]} of 99, -ENOMEM"
    assert reserved[0] == reserved[1] == reserved[3] > 10
    assert left == (0, 0, 0, 0)
    assert states(done("boot 2M 3")) == [(3, 3, 0, 3)]


def test_surplus_is_limited_by_what_overcommit_allows() -> None:
    result = done("overcommit 2M 1, surplus 2M 2, overcommit 1G 1, surplus 1G")
    assert outcomes(result) == ["1 of 1", "1 of 2, -ENOMEM", "0 of 1, -EINVAL", "0 of 1, -ENOMEM"]
    assert states(result)[-1] == (1, 0, 1, 1)


def test_pages_of_2_mib_are_demoted_to_64_kib() -> None:
    result = done("optimize, demote 2M", SMALL_GIGANTIC)
    assert outcomes(result) == ["2 of 2", "1 of 1"]
    assert states(result, 64 << 10)[-1] == (32, 32, 0, 0)


def test_pages_are_optimized_on_the_nodes_that_request_them() -> None:
    spec = ScenarioSpec(TARGET, memory=GIB, nodes=2, hugepages=parse_hugepages("2M=0:2,1:5"))
    result = run_scenario(spec)
    assert result.as_declared
    assert [pool.per_node for stage in result.stages for pool in stage.pools] == [(0, 0), (2, 5), (0, 0)]
    with pytest.raises(UsageError, match="huge pages of 2 MiB on node 1"):
        run_scenario(replace(spec, nodes=1))


def test_the_boot_parameter_switches_optimization_off() -> None:
    result = run_scenario(ScenarioSpec(TARGET, memory=512 * MIB, boot=parse_boot("hugetlb_free_vmemmap=0", TARGET, 1)))
    assert result.as_declared
    assert result.frames_saved == 0


def test_surplus_pages_are_in_use_until_they_are_freed() -> None:
    result = done("optimize, surplus 2M 2, free 2M, free 2M 5")
    assert states(result) == [(2, 2, 0, 2), (4, 2, 2, 4), (3, 2, 1, 3), (2, 2, 0, 2)]
    assert outcomes(result)[-1] == "1 of 5"


@pytest.mark.slow
def test_pages_in_use_are_not_dissolved_and_become_surplus_when_the_pool_shrinks() -> None:
    result = done("optimize, use 2M 2, dissolve, shrink, use 2M")
    assert outcomes(result) == ["2 of 2", "2 of 2", "0 of 1", "2 of 2", "0 of 1, -ENOSPC"]
    assert states(result)[2:] == [(2, 0, 0, 2), (2, 0, 2, 2), (2, 0, 2, 2)]


def test_an_allocation_that_fails_stops_an_operation_with_its_errno() -> None:
    lab = pools()
    known = PoolSet(tuple(lab.pools), {2 * MIB: 1})
    assert run(lab, known, "optimize") == Outcome(1, 1)
    lab.frames.failure = FailFrom(1)
    assert run(lab, known, "dissolve 2M") == Outcome(0, 1, -errno.ENOMEM)
    assert run(lab, known, "surplus 2M 3") == Outcome(0, 3, -errno.ENOMEM)
    assert lab.findings() == []


def run(lab: Pools, known: PoolSet, text: str) -> Outcome:
    (request,) = parse_operations(text, lab.machine.target)
    return request.run(known)


def test_reserved_pages_are_left_to_faults_and_temporary_pages_leave_the_pool() -> None:
    result = done(
        "optimize, reserve 2M 3, use 2M, unreserve 2M 2, use 2M, fault 2M 2, temporary 2M, free 2M 9, unreserve 2M"
    )
    assert outcomes(result) == [
        "2 of 2",
        "3 of 3",
        "0 of 1, -ENOSPC",
        "2 of 2",
        "1 of 1",
        "1 of 2, -ENOSPC",
        "1 of 1",
        "3 of 9",
        "0 of 1",
    ]
    assert states(result)[1] == (3, 3, 1, 3)
    assert states(result)[-1] == (2, 2, 0, 2)
    assert outcomes(done("overcommit 2M 0, optimize, reserve 2M 3"))[-1] == "0 of 3, -ENOMEM"


def test_poisoned_pages_are_dissolved_or_stay_marked() -> None:
    result = done("optimize, reserve 2M, poison 2M 2, poison 2M, poison_unrecorded 2M, unreserve 2M, shrink")
    assert outcomes(result)[2:] == ["1 of 2, -EBUSY", "0 of 1, -EHWPOISON", "0 of 1, -EHWPOISON", "1 of 1", "1 of 1"]
    assert states(result)[2] == (1, 1, 0, 1)
