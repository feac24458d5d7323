# SPDX-License-Identifier: GPL-2.0-only
"""Allocation failures at random, for tests."""

from __future__ import annotations

import numpy as np

from hvolab.machine.frames.failure import FailCalls


def fail_at_random(probability: float, seed: int, calls: int = 4096) -> FailCalls:
    """Return a policy in which each of so many calls fails with this probability, the same ones for the same seed."""
    failing = np.flatnonzero(np.random.default_rng(seed).random(calls) < probability) + 1
    return FailCalls(frozenset(failing.tolist()))
