# SPDX-License-Identifier: GPL-2.0-only
"""Comparison of page-table entries: kinds and flags exactly, frames modulo frame numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from hvolab.arch import EntryKind, Level, Target
from hvolab_vmcore.core.memory import Flags, Ints, Words
from hvolab_vmcore.core.walk import LevelTables
from hvolab_vmcore.replay.comparison import ReplayComparison, ReplayDifference
from hvolab_vmcore.replay.plan import Folio
from hvolab_vmcore.scan.scan import Scan

_NONE, _TABLE, _LEAF, _ILLEGAL = range(4)
_KINDS = ("not valid", "a table", "a leaf", "illegal")
_UNKNOWN = -2
_MISMATCH = "the frames do not match: other entries pair each of them with another frame"


@dataclass(frozen=True, eq=False)
class _Side:
    """Entries of one level on one side; n rows. Frames are -1 where there is none."""

    raws: Words
    kinds: Ints
    flags: Words
    frames: Ints


@dataclass(frozen=True, eq=False)
class _Matched:
    """Entries of one level that both sides have, by VA, and the frames that the core before maps there."""

    target: Target
    level: Level
    origin: int
    offsets: Ints
    engine: _Side
    kernel: _Side
    before: Ints

    def difference(self, kind: str, text: str, index: int) -> ReplayDifference:
        """Return the difference at one entry."""
        ours, theirs = (self.target.describe(self.level.name, int(s.raws[index])) for s in (self.engine, self.kernel))
        return ReplayDifference(kind, text, self.origin + int(self.offsets[index]), ours, theirs)

    def kind_difference(self, index: int) -> ReplayDifference:
        """Return the difference at an entry of different kinds."""
        ours, theirs = (_KINDS[int(side.kinds[index])] for side in (self.engine, self.kernel))
        return self.difference("entry.kind", f"the engine's entry is {ours}, the kernel's {theirs}", index)


def compare_entries(before: Scan, engine: Scan, kernel: Scan, passing: Sequence[Folio] = ()) -> ReplayComparison:
    """Compare the entries that the engine left, starting from ``before``, with those that the kernel left.

    An entry that keeps its frame on one side must keep it on the other, but for those of ``passing`` folios, to which
    a kernel may allocate the frames that it freed. All other frames must match one to one.
    """
    result = ReplayComparison()
    matched = [_match(depth, before, engine, kernel) for depth in range(len(engine.walk.levels))]
    size = engine.snapshot.struct_pages.layout.size
    for pfn, order in passing:
        first = engine.snapshot.vmemmap + pfn * size - engine.walk.origin
        offsets = matched[-1].offsets
        matched[-1].before[(offsets >= first) & (offsets < first + (size << order))] = _UNKNOWN
    for rows in matched:
        _compare_contents(rows, result)
    _compare_frames(matched, result)
    for side, scan in (("before", before), ("after", kernel)):
        absent = len(scan.walk.absent)
        result.leave_out("page tables, and all below them", absent, f"they are not in the core {side}")
    return result


def _match(depth: int, before: Scan, engine: Scan, kernel: Scan) -> _Matched:
    """Pair the tables of one level by the VA that they map, without entries that lead to tables that were not saved.

    What is below such an entry is unknown, so that it is not known either whether the entry should lead there.
    """
    ours, theirs = engine.walk.levels[depth], kernel.walk.levels[depth]
    common, mine, other = np.intersect1d(ours.offsets, theirs.offsets, assume_unique=True, return_indices=True)
    rows, slots = np.nonzero(ours.inside[mine])
    target = engine.snapshot.target
    unread = [one for scan in (engine, kernel) for one in scan.unsaved.tables if one.level.name == ours.level.name]
    known = ~np.isin(common[rows] + (slots << ours.level.shift), [one.va - engine.walk.origin for one in unread])
    rows, slots = rows[known], slots[known]
    offsets = common[rows] + (slots << ours.level.shift)
    return _Matched(
        target,
        ours.level,
        engine.walk.origin,
        offsets,
        _side(target, ours, mine[rows], slots),
        _side(target, theirs, other[rows], slots),
        _frames_before(before, depth, common, offsets, rows, slots),
    )


def _side(target: Target, tables: LevelTables, rows: Ints, slots: Ints) -> _Side:
    """Return the entries in slots of tables."""
    raws = tables.raws[rows, slots]
    kinds = np.full(raws.size, _NONE, dtype=np.int64)
    for code, chosen in ((_TABLE, tables.table), (_LEAF, tables.leaf), (_ILLEGAL, tables.illegal)):
        kinds[chosen[rows, slots]] = code
    flags = np.where(kinds == _NONE, np.uint64(0), raws)
    frames = np.full(raws.size, -1, dtype=np.int64)
    for code, kind in ((_TABLE, EntryKind.TABLE), (_LEAF, EntryKind.LEAF)):
        chosen = kinds == code
        if chosen.any():
            form = target.mode.format.form(tables.level.name, kind)
            pas = form.get_address(raws[chosen])
            frames[chosen] = (pas >> np.uint64(target.mode.page_shift)).astype(np.int64)
            flags[chosen] = raws[chosen] & ~np.uint64(form.address_mask)
    return _Side(raws, kinds, flags, frames)


def _frames_before(before: Scan, depth: int, common: Ints, offsets: Ints, rows: Ints, slots: Ints) -> Ints:
    """Return the frame of each entry in the core before: of the same level's entry, or within a larger leaf."""
    if depth == len(before.walk.levels) - 1:
        vas = before.walk.origin - before.snapshot.vmemmap
        return before.pages.frames_of((offsets + vas) >> before.pages.shift)
    tables = before.walk.levels[depth]
    frames = np.full(offsets.size, _UNKNOWN, dtype=np.int64)
    index = np.searchsorted(tables.offsets, common)[rows]
    known = np.isin(common, tables.offsets)[rows]
    frames[known] = _side(before.snapshot.target, tables, index[known], slots[known]).frames
    return frames


def _compare_contents(rows: _Matched, result: ReplayComparison) -> None:
    """Compare kinds and flags."""
    ours, theirs = rows.engine, rows.kernel
    result.compared += int(((ours.kinds != _NONE) | (theirs.kinds != _NONE)).sum())
    kinds = ours.kinds != theirs.kinds
    flags = ~kinds & (ours.flags != theirs.flags)
    result.add_each(np.flatnonzero(kinds).tolist(), rows.kind_difference)
    difference = partial(rows.difference, "entry.flags", "the entries have different flags")
    result.add_each(np.flatnonzero(flags).tolist(), difference)


def _compare_frames(matched: list[_Matched], result: ReplayComparison) -> None:
    """Compare frames: kept on both sides or on neither, and matched one to one over all levels."""
    pairs: list[tuple[_Matched, Ints]] = []
    for rows in matched:
        both = (rows.engine.frames >= 0) & (rows.kernel.frames >= 0) & (rows.engine.kinds == rows.kernel.kinds)
        ours, theirs = rows.engine.frames == rows.before, rows.kernel.frames == rows.before
        for keeps, other, wrong in (("kernel", "engine", ~ours & theirs), ("engine", "kernel", ours & ~theirs)):
            text = f"the {keeps} keeps the frame that was mapped before, the {other} does not"
            result.add_each(np.flatnonzero(both & wrong).tolist(), partial(rows.difference, "entry.kept", text))
        pairs.append((rows, np.flatnonzero(both & (ours == theirs))))
    wrong = mismatched_frames(
        np.concatenate([rows.engine.frames[chosen] for rows, chosen in pairs]),
        np.concatenate([rows.kernel.frames[chosen] for rows, chosen in pairs]),
    )
    first = 0
    for rows, chosen in pairs:
        places = chosen[wrong[first : first + chosen.size]].tolist()
        result.add_each(places, partial(rows.difference, "entry.frame", _MISMATCH))
        first += chosen.size


def mismatched_frames(ours: Ints, theirs: Ints) -> Flags:
    """Return one flag for each pair of frames: it contradicts the matching of most pairs, one to one; shape (n,).

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
