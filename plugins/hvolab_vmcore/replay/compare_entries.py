"""The entries of every level, the engine's against a kernel's: kinds and flags exactly, frames up to a renaming."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hvolab.arch import EntryKind, Target
from hvolab_vmcore.core.walk import LevelTables
from hvolab_vmcore.replay.differences import ReplayComparison, ReplayDifference
from hvolab_vmcore.replay.renaming import mismatched_frames
from hvolab_vmcore.scan.scan import Scan

Ints = npt.NDArray[np.int64]
Raws = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]
_NONE, _TABLE, _LEAF, _ILLEGAL = range(4)
_WORDS = ("not valid", "a table", "a leaf", "illegal")
_UNKNOWN = -2


@dataclass(frozen=True, eq=False)
class _Side:
    """Entries of one level on one side; n rows. Frames are -1 where there is none."""

    raws: Raws
    kinds: Ints
    flags: Raws
    frames: Ints


@dataclass(frozen=True, eq=False)
class _Matched:
    """Entries of one level that both sides have, and the frames that the core before had there."""

    depth: int
    offsets: Ints
    engine: _Side
    kernel: _Side
    before: Ints


def compare_entries(before: Scan, engine: Scan, kernel: Scan) -> ReplayComparison:
    """Compare what the engine made of ``before`` with what the kernel did.

    An entry that is as it was before must be so on both sides; the frames of others may be renamed, each frame of one
    side to exactly one of the other.
    """
    result = ReplayComparison()
    matched = [_match(depth, before, engine, kernel, result) for depth in range(len(engine.walk.levels))]
    for rows in matched:
        _compare_contents(rows, engine, result)
    _compare_frames(matched, engine, result)
    for side, scan in (("before", before), ("after", kernel)):
        tables = len(scan.walk.absent)
        result.leave_out("page tables, and what lies below them", tables, f"they are not in the core {side}")
    return result


def _match(depth: int, before: Scan, engine: Scan, kernel: Scan, result: ReplayComparison) -> _Matched:
    """Pair the tables of one level by the VA that they map."""
    ours, theirs = engine.walk.levels[depth], kernel.walk.levels[depth]
    common, mine, other = np.intersect1d(ours.offsets, theirs.offsets, assume_unique=True, return_indices=True)
    wanted = ours.inside[mine]
    rows, slots = np.nonzero(wanted)
    target = engine.snapshot.target
    sides = _side(target, ours, mine[rows], slots), _side(target, theirs, other[rows], slots)
    offsets = common[rows] + (slots << ours.level.shift)
    some = (sides[0].kinds != _NONE) | (sides[1].kinds != _NONE)
    result.compared += int(some.sum())
    return _Matched(depth, offsets, *sides, _frames_before(before, depth, common, offsets, rows, slots))


def _side(target: Target, tables: LevelTables, rows: Ints, slots: Ints) -> _Side:
    """The entries in those slots of those tables."""
    raws = tables.raws[rows, slots]
    kinds = np.where(tables.table[rows, slots], _TABLE, _NONE)
    kinds = np.where(tables.leaf[rows, slots], _LEAF, kinds)
    kinds = np.where(tables.illegal[rows, slots], _ILLEGAL, kinds).astype(np.int64)
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
    """The frame that each entry had before: of the same level's entry, or what a larger leaf mapped there."""
    if depth == len(before.walk.levels) - 1:
        vas = before.walk.origin - before.snapshot.vmemmap
        return before.pages.frames_of((offsets + vas) >> before.pages.shift)
    tables = before.walk.levels[depth]
    found = np.full(offsets.size, _UNKNOWN, dtype=np.int64)
    _, place, index = np.intersect1d(common, tables.offsets, assume_unique=True, return_indices=True)
    where = np.full(common.size, -1, dtype=np.int64)
    where[place] = index
    known = where[rows] >= 0
    found[known] = _side(before.snapshot.target, tables, where[rows[known]], slots[known]).frames
    return found


def _compare_contents(rows: _Matched, engine: Scan, result: ReplayComparison) -> None:
    """Kinds and flags."""
    ours, theirs = rows.engine, rows.kernel
    kinds = ours.kinds != theirs.kinds
    flags = ~kinds & (ours.flags != theirs.flags)
    for index in np.flatnonzero(kinds).tolist():
        mine, other = _WORDS[int(ours.kinds[index])], _WORDS[int(theirs.kinds[index])]
        _add(rows, index, engine, result, "entry.kind", f"the engine's entry is {mine}, the kernel's {other}")
    for index in np.flatnonzero(flags).tolist():
        _add(rows, index, engine, result, "entry.flags", "the entries have different flags")


def _compare_frames(matched: list[_Matched], engine: Scan, result: ReplayComparison) -> None:
    """Frames: kept on both sides or on neither, and renamed consistently over all levels."""
    pairs: list[tuple[_Matched, Ints]] = []
    for rows in matched:
        both = (rows.engine.frames >= 0) & (rows.kernel.frames >= 0) & (rows.engine.kinds == rows.kernel.kinds)
        ours, theirs = rows.engine.frames == rows.before, rows.kernel.frames == rows.before
        texts = (
            "the kernel keeps the frame that was mapped before, the engine does not",
            "the engine keeps the frame that was mapped before, the kernel does not",
        )
        for index in np.flatnonzero(both & (ours != theirs)).tolist():
            _add(rows, index, engine, result, "entry.kept", texts[int(ours[index])])
        pairs.append((rows, np.flatnonzero(both & (ours == theirs))))
    wrong = mismatched_frames(
        np.concatenate([rows.engine.frames[chosen] for rows, chosen in pairs]),
        np.concatenate([rows.kernel.frames[chosen] for rows, chosen in pairs]),
    )
    first = 0
    text = "no renaming of frames makes the entries alike: others pair these frames differently"
    for rows, chosen in pairs:
        for index in chosen[wrong[first : first + chosen.size]].tolist():
            _add(rows, index, engine, result, "entry.frame", text)
        first += chosen.size


def _add(rows: _Matched, index: int, engine: Scan, result: ReplayComparison, kind: str, text: str) -> None:
    """Note a difference at one entry."""
    if result.full:
        result.found += 1
        return
    target, level = engine.snapshot.target, engine.walk.levels[rows.depth].level
    ours, theirs = (target.describe(level.name, int(side.raws[index])) for side in (rows.engine, rows.kernel))
    result.add(ReplayDifference(kind, text, engine.walk.origin + int(rows.offsets[index]), ours, theirs))
