# SPDX-License-Identifier: GPL-2.0-only
"""Allocation failures on demand: policies that choose the allocation calls to fail.

A policy numbers the calls from 1 on, beginning when it is made. Admitting many calls at once has the result of
admitting one after the other, so a batch fails exactly where single calls would.

Kernel: should_fail_alloc_page() in mm/fail_page_alloc.c, v6.12, is the same idea.
"""

from __future__ import annotations

import copy
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Protocol

from hvolab.errors import UsageError

_NEVER = 1 << 62  # a call number that no run reaches


class FailurePolicy(Protocol):
    """Choice of the allocation calls that fail."""

    @property
    def calls(self) -> int:
        """The number of calls since the policy was made."""

    def admit(self, count: int, order: int) -> int:
        """Return how many of the next `count` calls of this order succeed before the first that fails.

        Counts the calls that succeed and, if the result is less than `count`, the one that fails.
        """


@dataclass(slots=True)
class NeverFail:
    """No call fails."""

    calls: int = field(default=0, init=False)

    def admit(self, count: int, order: int) -> int:  # noqa: ARG002 - the order is part of the protocol
        """Admit all calls."""
        self.calls += count
        return count


def restored(policy: FailurePolicy, saved: FailurePolicy) -> FailurePolicy:
    """Return a policy in the state of ``saved``: ``policy`` itself if it is that of no failure with as many calls."""
    return policy if type(policy) is NeverFail and policy == saved else copy.deepcopy(saved)


@dataclass(slots=True)
class FailCalls:
    """The calls of these numbers fail, each once; numbers begin at 1."""

    numbers: frozenset[int]
    calls: int = field(default=0, init=False)
    _ascending: tuple[int, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._ascending = tuple(sorted(self.numbers))
        for number in self._ascending[:1]:
            _require_number(number)

    def admit(self, count: int, order: int) -> int:  # noqa: ARG002 - the order is part of the protocol
        """Admit the calls before the next number that fails."""
        following = bisect_right(self._ascending, self.calls)
        failing = self._ascending[following] if following < len(self._ascending) else _NEVER
        admitted = min(count, failing - self.calls - 1)
        self.calls += admitted + (admitted < count)
        return admitted


@dataclass(slots=True)
class FailFrom:
    """The call of this number fails, and every later one."""

    number: int
    calls: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        _require_number(self.number)

    def admit(self, count: int, order: int) -> int:  # noqa: ARG002 - the order is part of the protocol
        """Admit the calls before the number."""
        admitted = min(count, max(0, self.number - self.calls - 1))
        self.calls += admitted + (admitted < count)
        return admitted


def _require_number(number: int) -> None:
    if number < 1:
        raise UsageError(f"allocation call number {number}", hint="number the calls from 1")
