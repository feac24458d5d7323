"""Comparison of frames modulo frame numbers: a one-to-one matching between two sides."""

from __future__ import annotations

import numpy as np

from hvolab_vmcore.core.arrays import Flags, Ints


def mismatched_frames(ours: Ints, theirs: Ints) -> Flags:
    """Return one flag for each pair of frames: it contradicts the matching of most pairs. Arrays have shape (n,).

    The partner of a frame is the frame with which it is paired most often; a pair of equal frames takes precedence. A
    pair fits if each is the other's partner. So one wrong entry is reported, and not the many right ones of its frame.
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
    partner_of_left = np.full(left.size, -1, dtype=np.int64)
    partner_of_right = np.full(right.size, -1, dtype=np.int64)
    # pairs are sorted by weight: np.unique keeps the first, heaviest one of each frame
    _, first = np.unique(lefts[order], return_index=True)
    partner_of_left[lefts[order][first]] = rights[order][first]
    _, first = np.unique(rights[order], return_index=True)
    partner_of_right[rights[order][first]] = lefts[order][first]
    fits = (partner_of_left[lefts] == rights) & (partner_of_right[rights] == lefts)
    result: Flags = ~fits[pair_of]
    return result
