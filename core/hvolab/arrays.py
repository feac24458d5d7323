# SPDX-License-Identifier: GPL-2.0-only
"""Runs of neighbors in arrays, and parts of arrays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

#: Positions in an array.
Positions = npt.NDArray[np.int64]


def chunks(size: int, most: int) -> Iterator[slice]:
    """Cut ``size`` items into parts of at most ``most``; yields slices, in order."""
    return (slice(start, min(start + most, size)) for start in range(0, size, most))


def runs(splits: npt.NDArray[np.bool_], size: int) -> tuple[Positions, Positions]:
    """Cut `size` items into runs.

    splits  one flag for each pair of neighbors, `size - 1` of them: whether a new run starts between them
    Returns first position, and position behind the last, of each run; two empty arrays for no items.
    """
    if size < 2:  # frequent: single steps cut arrays of one item
        return np.zeros(size, dtype=np.int64), np.ones(size, dtype=np.int64)
    breaks = np.flatnonzero(splits) + 1
    return np.concatenate(([0], breaks)), np.concatenate((breaks, [size]))


def consecutive_runs(values: npt.NDArray[Any], step: int = 1) -> tuple[Positions, Positions]:
    """Cut an array into runs in which each value is the one before plus `step`; returns positions like :func:`runs`."""
    return runs(np.diff(values) != step, values.size)


def equal_runs(values: npt.NDArray[Any]) -> tuple[Positions, Positions]:
    """Cut an array into runs of equal values; returns positions like :func:`runs`."""
    return runs(values[1:] != values[:-1], values.size)


def common(values: npt.NDArray[Any], ascending: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the values that are in an ascending array, each once; np.intersect1d would sort or hash that array."""
    if not values.size:
        return values
    first, last = (np.searchsorted(ascending, values, side=side) for side in ("left", "right"))
    found: npt.NDArray[Any] = np.unique(values[last > first])
    return found
