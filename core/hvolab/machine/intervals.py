# SPDX-License-Identifier: GPL-2.0-only
"""Arithmetic on sets of PFNs as sorted, disjoint intervals: pairs of arrays `starts` and `stops`.

An interval holds the PFNs from its start up to, not including, its stop. Everything is one pass of array operations.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hvolab.arithmetic import round_up
from hvolab.arrays import consecutive_runs

#: PFNs, or bounds of intervals of them.
Pfns = npt.NDArray[np.int64]


def runs_of(pfns: Pfns) -> tuple[Pfns, Pfns]:
    """Return the maximal intervals of PFNs that ascend strictly."""
    starts, stops = consecutive_runs(pfns)
    return pfns[starts], pfns[stops - 1] + 1


def joined(starts: Pfns, stops: Pfns) -> tuple[Pfns, Pfns]:
    """Sort disjoint intervals, join those that touch, and drop empty ones."""
    # Of disjoint intervals the n-th start and the n-th stop belong together, so each can be sorted alone.
    starts, stops = np.sort(starts), np.sort(stops)
    real = starts < stops
    starts, stops = starts[real], stops[real]
    if not starts.size:
        return starts, stops
    apart = starts[1:] != stops[:-1]
    return starts[np.concatenate(([True], apart))], stops[np.concatenate((apart, [True]))]


def without(starts: Pfns, stops: Pfns, cut_starts: Pfns, cut_stops: Pfns) -> tuple[Pfns, Pfns]:
    """Subtract intervals, each of which is inside one of the others."""
    # Where a cut begins an interval stops, where it ends one starts; sorted, the n-th of each belong together again.
    return joined(np.concatenate((starts, cut_stops)), np.concatenate((stops, cut_starts)))


def lowest_fit(starts: Pfns, stops: Pfns, frames: int, align: int) -> int | None:
    """Return the lowest multiple of `align` from which that many frames are inside one interval."""
    candidates = round_up(starts, align)
    fitting = np.flatnonzero(candidates + frames <= stops)
    return int(candidates[fitting[0]]) if fitting.size else None


def highest_fit(starts: Pfns, stops: Pfns, frames: int, align: int) -> int | None:
    """Return the highest multiple of `align` from which that many frames are inside one interval."""
    candidates = (stops - frames) // align * align
    fitting = np.flatnonzero(candidates >= starts)
    return int(candidates[fitting[-1]]) if fitting.size else None
