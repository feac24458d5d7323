# SPDX-License-Identifier: GPL-2.0-only
"""Tables that rows refer to: texts, kernel functions, bases of VAs, patterns of entries, runs of PFNs."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from hvolab.arch import EntryKind, Target
from hvolab.cli.entry_view import EntryView, view_entry
from hvolab.errors import EncodingError
from hvolab.machine import Machine
from hvolab_report.recording.translations import described_frames
from hvolab_report.timeline.data import AddressData, BitsData, PatternData

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")
#: log2 of the range that one base of VAs covers: JavaScript's integers have 53 bits.
_BASE_SHIFT = 48


class Table(Generic[_Key, _Value]):
    """Values in the order in which they were first used, each with its index.

    make  makes the value of a key
    """

    def __init__(self, make: Callable[[_Key], _Value]) -> None:
        self.values: list[_Value] = []
        self._make = make
        self._indices: dict[_Key, int] = {}

    def index(self, key: _Key) -> int:
        """Return the index of a key's value."""
        index = self._indices.get(key)
        if index is None:
            index = self._indices[key] = len(self.values)
            self.values.append(self._make(key))
        return index


class Bases:
    """Bases of VAs: the vmemmap's, the direct map's, and one for each other range."""

    def __init__(self, machine: Machine) -> None:
        self.values = [machine.struct_pages.va(0), machine.virt(0)]
        self._end = machine.struct_pages.va(max(end for _, end in described_frames(machine)))

    def split(self, va: int) -> tuple[int, int]:
        """Return index of the base and offset of a VA."""
        for index, base in enumerate(self.values):
            if base <= va < (base + (1 << _BASE_SHIFT) if index else self._end):
                return index, va - base
        self.values.append(va >> _BASE_SHIFT << _BASE_SHIFT)
        return len(self.values) - 1, va - self.values[-1]


class Patterns:
    """Patterns of entries, decoded by the architecture."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._levels = [level.name for level in target.mode.levels]
        self.table: Table[tuple[int, int], PatternData] = Table(lambda key: self._decoded(*key))

    def runs(self, level: int, raws: npt.NDArray[np.uint64]) -> list[int]:
        """Return entries as runs: groups of pattern, first PFN, difference, and count, flattened."""
        split = [self.split(level, raw) for raw in raws.tolist()]
        patterns = np.array([pattern for pattern, _ in split], dtype=np.int64)
        pfns = np.array([pfn for _, pfn in split], dtype=np.int64)
        found: list[int] = []
        for start, stop in _alike(patterns, pfns):
            step = int(pfns[start + 1] - pfns[start]) if stop - start > 1 else 0
            found += [int(patterns[start]), int(pfns[start]), step, stop - start]
        return found

    def split(self, level: int, raw: int) -> tuple[int, int]:
        """Return the index of the pattern and the PFN of an entry."""
        form = self._target.mode.format.recognize(self._levels[level], raw)
        if form is None:
            return self.table.index((level, raw)), 0
        return self.table.index((level, raw & ~form.address_mask)), form.get_address(
            raw
        ) >> self._target.mode.page_shift

    def _decoded(self, level: int, raw: int) -> PatternData:
        name = self._levels[level]
        try:
            view = view_entry(self._target, name, raw)
        except EncodingError as error:
            kind = self._target.mode.format.classify(name, raw)
            return PatternData(level, kind.value, hex(raw), (), (), (), "", str(error))
        form, entry = view.entry.form, view.entry
        bits = [BitsData(bit.name, bit.high, bit.low, hex(bit.value), bit.meaning) for bit in view.bits]
        address = [] if form is None else [AddressData(each.low, each.width, each.physical) for each in form.address]
        access = "".join(letter for letter, allowed in zip("rwx", view.accesses.values(), strict=True) if allowed)
        access = access if entry.kind in {EntryKind.LEAF, EntryKind.TABLE} else ""
        return PatternData(
            level, entry.kind.value, hex(raw), tuple(bits), tuple(address), _names(view), access, _meaning(view)
        )


def _names(view: EntryView) -> tuple[str, ...]:
    return view.pgprots or view.elsewhere


def _meaning(view: EntryView) -> str:
    return "" if view.software is None else f"{view.software.name}: {view.software.meaning}"


def pfn_runs(pfns: Sequence[int] | npt.NDArray[np.int64]) -> list[int]:
    """Return PFNs as runs: groups of first PFN, difference, and count, flattened."""
    frames = np.asarray(pfns, dtype=np.int64)
    found: list[int] = []
    for start, stop in _alike(np.zeros_like(frames), frames):
        step = int(frames[start + 1] - frames[start]) if stop - start > 1 else 0
        found += [int(frames[start]), step, stop - start]
    return found


def _alike(patterns: npt.NDArray[np.int64], pfns: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    """Return runs, as start and stop, of equal patterns whose PFNs differ evenly."""
    found, start, size = [], 0, pfns.size
    steps = np.diff(pfns)
    same = patterns[1:] == patterns[:-1]
    while start < size:
        stop = start + 1
        if stop < size and same[start]:
            ends = np.flatnonzero(~same[start:] | (steps[start:] != steps[start]))
            stop = start + 1 + int(ends[0]) if ends.size else size
        found.append((start, stop))
        start = stop
    return found
