"""Frames up to a renaming: each of one side is exactly one of the other."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


def mismatched_frames(ours: Ints, theirs: Ints) -> Flags:
    """Which pairs of frames do not fit the renaming that most pairs agree on; both arrays have shape (n,).

    A frame's partner is the one that it is paired with most often, itself before any other. A pair fits where each
    is the other's partner. So one entry that is wrong is told, not the many right ones that share its frame.
    """
    if not ours.size:
        return np.zeros(0, dtype=np.bool_)
    left, left_of = np.unique(ours, return_inverse=True)
    right, right_of = np.unique(theirs, return_inverse=True)
    pairs, pair_of, counts = np.unique(
        left_of.astype(np.int64) * right.size + right_of, return_inverse=True, return_counts=True
    )
    lefts, rights = pairs // right.size, pairs % right.size
    weights = counts + np.where(left[lefts] == right[rights], ours.size, 0)
    order = np.argsort(-weights, kind="stable")
    partner = np.full(left.size, -1, dtype=np.int64)
    taken_by = np.full(right.size, -1, dtype=np.int64)
    # from the strongest pair down: np.unique keeps the first, strongest one of each frame
    _, first = np.unique(lefts[order], return_index=True)
    partner[lefts[order][first]] = rights[order][first]
    _, first = np.unique(rights[order], return_index=True)
    taken_by[rights[order][first]] = lefts[order][first]
    fits = (partner[lefts] == rights) & (taken_by[rights] == lefts)
    result: Flags = ~fits[pair_of]
    return result
