# SPDX-License-Identifier: GPL-2.0-only
"""Allocation failure on demand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hvolab.errors import UsageError
from hvolab.machine.frames.failure import FailCalls, FailFrom, FailurePolicy, NeverFail, restored
from tests.failures import fail_at_random

if TYPE_CHECKING:
    from collections.abc import Callable


def fates(policy: FailurePolicy, calls: int, order: int = 0) -> list[bool]:
    """Whether each of these calls, made one by one, succeeds."""
    return [policy.admit(1, order) == 1 for _ in range(calls)]


def failed(policy: FailurePolicy, calls: int) -> list[int]:
    return [number for number, succeeds in enumerate(fates(policy, calls), start=1) if not succeeds]


def test_never_fail_admits_everything() -> None:
    policy = NeverFail()
    assert policy.admit(4095, 0) == 4095
    assert policy.admit(1, 9) == 1
    assert policy.calls == 4096


def test_the_calls_of_the_given_numbers_fail() -> None:
    assert failed(FailCalls(frozenset({3, 1, 7})), 10) == [1, 3, 7]


def test_every_call_from_a_number_on_fails() -> None:
    assert failed(FailFrom(3), 6) == [3, 4, 5, 6]
    assert failed(FailFrom(1), 3) == [1, 2, 3]


def test_a_run_stops_at_the_failing_call_and_goes_on_after_it() -> None:
    policy = FailCalls(frozenset({3}))
    assert policy.admit(10, 0) == 2
    assert policy.calls == 3
    assert policy.admit(10, 0) == 10


POLICIES: list[Callable[[int], FailurePolicy]] = [
    lambda _: NeverFail(),
    lambda n: FailCalls(frozenset({n + 1, 2 * n + 3, 40})),
    lambda n: FailFrom(n + 1),
    lambda n: fail_at_random(0.15, seed=n),
]


@pytest.mark.parametrize("arm", POLICIES)
@given(parameter=st.integers(0, 60), runs=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 2)), max_size=12))
def test_asking_for_a_run_is_asking_one_by_one(
    arm: Callable[[int], FailurePolicy], parameter: int, runs: list[tuple[int, int]]
) -> None:
    by_run, by_call = arm(parameter), arm(parameter)
    for count, order in runs:
        admitted = 0
        while admitted < count and by_call.admit(1, order):
            admitted += 1
        assert by_run.admit(count, order) == admitted
        assert by_run.calls == by_call.calls


@pytest.mark.parametrize("arm", [lambda: FailCalls(frozenset({0, 4})), lambda: FailFrom(0)])
def test_a_policy_that_means_nothing_is_refused(arm: Callable[[], FailurePolicy]) -> None:
    with pytest.raises(UsageError):
        arm()


@pytest.mark.parametrize("saved", [NeverFail(), FailCalls(frozenset({2})), FailFrom(2)])
def test_a_restored_policy_goes_on_as_the_saved_one_and_does_not_change_it(saved: FailurePolicy) -> None:
    expected = failed(restored(NeverFail(), saved), 3)
    assert failed(restored(saved, saved), 3) == expected
    if not isinstance(saved, NeverFail):
        assert expected == failed(saved, 3)


def test_a_policy_that_admitted_calls_since_is_replaced() -> None:
    saved, now = NeverFail(), NeverFail()
    assert restored(now, saved) is now
    now.admit(1, 0)
    again = restored(now, saved)
    assert (again, again is saved) == (NeverFail(), False)
