"""Allocation failure on demand: which of the allocation calls to come are made to fail.

A policy numbers the calls that it is asked about from 1, beginning when it is armed, that is, made. Asking about many
calls at once gives what asking about one after the other would, so a batch fails exactly where single calls would.

Kernel: should_fail_alloc_page() in mm/fail_page_alloc.c, v6.12, is the same idea.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from hvolab.errors import UsageError

_NEVER = 1 << 62  # a call number that no run reaches


class FailurePolicy(Protocol):
    """Decides which allocation calls fail."""

    @property
    def calls(self) -> int:
        """How many calls were asked about since the policy was armed."""

    def admit(self, count: int, order: int) -> int:
        """How many of the next `count` calls of this order succeed before the first that is made to fail.

        The calls are made one after the other and stop at the first that fails. Consumes those admitted and, if the
        result is less than `count`, the one that fails. A count of 0 consumes nothing.
        """


@dataclass(slots=True)
class NeverFail:
    """No call is made to fail."""

    calls: int = field(default=0, init=False)

    def admit(self, count: int, order: int) -> int:  # noqa: ARG002 - the order is part of the protocol
        """Admit all."""
        self.calls += count
        return count


@dataclass(slots=True)
class FailCalls:
    """The calls of these numbers fail, each once; numbers begin at 1."""

    numbers: frozenset[int]
    calls: int = field(default=0, init=False)
    _ascending: tuple[int, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._ascending = tuple(sorted(self.numbers))
        for number in self._ascending[:1]:
            _refuse_number_below_one(number)

    def admit(self, count: int, order: int) -> int:  # noqa: ARG002 - the order is part of the protocol
        """Admit up to the next number that fails."""
        coming = bisect_right(self._ascending, self.calls)
        failing = self._ascending[coming] if coming < len(self._ascending) else _NEVER
        admitted = min(count, failing - self.calls - 1)
        self.calls += admitted + (admitted < count)
        return admitted


@dataclass(slots=True)
class FailFrom:
    """The call of this number fails, and every later one."""

    number: int
    calls: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        _refuse_number_below_one(self.number)

    def admit(self, count: int, order: int) -> int:  # noqa: ARG002 - the order is part of the protocol
        """Admit what comes before the number."""
        admitted = min(count, max(0, self.number - self.calls - 1))
        self.calls += admitted + (admitted < count)
        return admitted


@dataclass(slots=True)
class Budget:
    """A number of frames that may be handed out; a call that would exceed what is left fails.

    A smaller call may still pass after it. Freeing gives nothing back.
    """

    frames: int
    calls: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if self.frames < 0:
            raise UsageError(f"a budget of {self.frames} frames", hint="give 0 frames or more")

    def admit(self, count: int, order: int) -> int:
        """Admit as many calls as the frames that are left can serve; `frames` is what is left."""
        admitted = min(count, self.frames >> order)
        self.frames -= admitted << order
        self.calls += admitted + (admitted < count)
        return admitted


@dataclass(slots=True)
class Probability:
    """Each call fails with this probability; the same seed fails the same calls.

    What is drawn is the distance to the next failing call, so a batch costs no more than one call.
    """

    probability: float
    seed: int
    calls: int = field(default=0, init=False)
    _generator: np.random.Generator = field(init=False, repr=False)
    _failing: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not 0 <= self.probability <= 1:
            raise UsageError(f"a probability of {self.probability}", hint="give a number from 0 to 1")
        self._generator = np.random.default_rng(self.seed)
        self._failing = self._next_failing(after=0)

    def admit(self, count: int, order: int) -> int:  # noqa: ARG002 - the order is part of the protocol
        """Admit up to the next call that fails."""
        admitted = min(count, self._failing - self.calls - 1)
        self.calls += admitted
        if admitted < count:
            self.calls += 1
            self._failing = self._next_failing(after=self.calls)
        return admitted

    def _next_failing(self, after: int) -> int:
        """The number of the next call that fails: the distance is geometrically distributed."""
        if self.probability in (0, 1):
            return after + 1 if self.probability else _NEVER
        distance = math.log1p(-self._generator.random()) / math.log1p(-self.probability)
        return after + 1 + int(min(distance, _NEVER))


def _refuse_number_below_one(number: int) -> None:
    if number < 1:
        raise UsageError(f"allocation call number {number}", hint="number the calls from 1")
