"""Arithmetic on sets of PFNs that are kept as sorted, disjoint intervals: pairs of arrays `starts` and `stops`.

An interval holds the PFNs from its start up to, not including, its stop. Everything is one pass of array operations.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

#: PFNs, or bounds of intervals of them.
Pfns = npt.NDArray[np.int64]


def runs_of(pfns: Pfns) -> tuple[Pfns, Pfns]:
    """The maximal runs of consecutive numbers in PFNs that ascend strictly."""
    if not pfns.size:
        return pfns, pfns
    breaks = np.flatnonzero(np.diff(pfns) != 1) + 1
    starts = pfns[np.concatenate(([0], breaks))]
    stops = pfns[np.concatenate((breaks - 1, [pfns.size - 1]))] + 1
    return starts, stops


def joined(starts: Pfns, stops: Pfns) -> tuple[Pfns, Pfns]:
    """Disjoint intervals in any order, as ascending ones of which no two touch; empty ones are left out."""
    # Of disjoint intervals the n-th start and the n-th stop belong together, so each can be sorted alone.
    starts, stops = np.sort(starts), np.sort(stops)
    real = starts < stops
    starts, stops = starts[real], stops[real]
    if not starts.size:
        return starts, stops
    apart = starts[1:] != stops[:-1]
    return starts[np.concatenate(([True], apart))], stops[np.concatenate((apart, [True]))]


def without(starts: Pfns, stops: Pfns, cut_starts: Pfns, cut_stops: Pfns) -> tuple[Pfns, Pfns]:
    """Intervals less others, each of which lies within one of them."""
    # Where a cut begins an interval stops, where it ends one starts; sorted, the n-th of each belong together again.
    return joined(np.concatenate((starts, cut_stops)), np.concatenate((stops, cut_starts)))


def lowest_fit(starts: Pfns, stops: Pfns, frames: int, align: int) -> int | None:
    """The lowest multiple of `align` at which that many frames lie within one interval."""
    candidates = -(-starts // align) * align
    fitting = np.flatnonzero(candidates + frames <= stops)
    return int(candidates[fitting[0]]) if fitting.size else None


def highest_fit(starts: Pfns, stops: Pfns, frames: int, align: int) -> int | None:
    """The highest multiple of `align` at which that many frames lie within one interval."""
    candidates = (stops - frames) // align * align
    fitting = np.flatnonzero(candidates >= starts)
    return int(candidates[fitting[-1]]) if fitting.size else None
