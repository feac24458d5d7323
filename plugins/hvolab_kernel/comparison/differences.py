"""What differs between two machines after the same scenario: bytes, decoded, counters, results and calls."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import zip_longest
from typing import Final

import numpy as np
import numpy.typing as npt

from hvolab.machine import Machine
from hvolab_kernel.comparison.calls import Call, in_words
from hvolab_kernel.comparison.machine_pair import MachinePair, MachineUnderTest

_WORD: Final = 8
#: Differing words of memory that are told one by one; more are summed up.
_TOLD: Final = 8


@dataclass(frozen=True)
class StateDifference:
    """Something that the kernel's code did or left otherwise than the engine.

    what            what it is: a result, a call, an entry, a word of a struct page, a counter, a finding
    kernel, engine  both sides, decoded
    """

    what: str
    kernel: str
    engine: str

    def as_dict(self) -> dict[str, str]:
        """The difference for JSON."""
        return asdict(self)


def differing_calls(kernel: Sequence[Call], engine: Sequence[Call], step: str) -> list[StateDifference]:
    """The first call that differs."""
    if kernel == engine:
        return []
    for number, (theirs, ours) in enumerate(zip_longest(kernel, engine), start=1):
        if theirs != ours:
            return [StateDifference(f"outside call {number} of {step}", in_words(theirs), in_words(ours))]
    return []


def differing_counters(bed: MachinePair) -> list[StateDifference]:
    """Counters, the static key, grace periods, and frames that are free."""
    kernel, engine = (
        _counters(side.machine) | {"free frames": side.frames.free_frames} for side in (bed.kernel, bed.engine)
    )
    return [
        StateDifference(name, f"{kernel[name]}", f"{engine[name]}") for name in kernel if kernel[name] != engine[name]
    ]


def _counters(machine: Machine) -> dict[str, int]:
    return {
        **asdict(machine.counters),
        "static key": machine.key,
        "grace periods": machine.grace_periods,
    }


def differing_memory(bed: MachinePair) -> list[StateDifference]:
    """Every word of memory in use that differs: page tables, struct pages, lists, what new frames hold.

    Left out are the lru words of the struct pages of vmemmap pages that were taken or given back, or may have been:
    the kernel links them there, the engine keeps a list of its own.
    """
    # a set, since numpy imports its masked arrays for isin(), which takes longer than a comparison
    left_out = set(_lru_words(bed).tolist())
    differing: list[int] = []
    ours, theirs = (side.machine.memory.pages for side in bed.sides)
    size = ours.shape[1]
    for start, stop in _ranges(bed.sides):
        if not np.array_equal(ours[start:stop], theirs[start:stop]):
            words = np.flatnonzero(ours[start:stop].ravel() != theirs[start:stop].ravel()) + start * size
            differing += [word for word in words.tolist() if word not in left_out]
    if not differing:
        return []
    decoder = _Decoder(bed)
    told = [decoder.difference(word) for word in differing[:_TOLD]]
    if len(differing) > _TOLD:
        told.append(StateDifference(f"{len(differing) - _TOLD} more words of memory", "", ""))
    return told


def _ranges(sides: Iterable[MachineUnderTest]) -> list[tuple[int, int]]:
    """Ranges of frames to look at: what was in use, and what was handed out since."""
    ranges: tuple[tuple[int, int], ...] = ()
    since: set[int] = set()
    for side in sides:
        ranges = side.state.used
        since |= {pfn - side.machine.memory.first_pfn for pfn in side.handed_out}
    return [*ranges, *((frame, frame + 1) for frame in sorted(since))]


def _lru_words(bed: MachinePair) -> npt.NDArray[np.int64]:
    """Words of memory that hold the lru of vmemmap pages."""
    machine = bed.kernel.machine
    layout = machine.struct_pages.layout
    pfns = np.array(sorted(bed.kernel.listed | bed.engine.listed), dtype=np.int64)
    where = machine.struct_pages.locate(pfns) // _WORD if pfns.size else pfns
    return np.concatenate((where + layout.lru_next // _WORD, where + layout.lru_prev // _WORD))


class _Decoder:
    """Says what a word of memory is."""

    def __init__(self, bed: MachinePair) -> None:
        self._bed = bed
        machine = bed.kernel.machine
        self._machine = machine
        self._tables: dict[int, tuple[str, int]] = {}
        mode = machine.target.mode
        pages = machine.struct_pages
        first, last = machine.vmemmap[0][0], machine.vmemmap[-1][1]
        for va in range(pages.va(first), pages.va(last), mode.levels[-2].size):
            for side in bed.sides:
                for step in side.machine.tables.walk(va):
                    frame = step.slot >> mode.page_shift
                    start = va - step.level.index(va) * step.level.size & -step.level.size
                    self._tables[frame] = (step.level.name, start)

    def difference(self, word: int) -> StateDifference:
        """The difference in that word of memory."""
        machine = self._machine
        pa = machine.memory.base + word * _WORD
        kernel, engine = (int(side.machine.memory.words[word]) for side in (self._bed.kernel, self._bed.engine))
        mode = machine.target.mode
        known = self._tables.get(pa >> mode.page_shift)
        if known is not None:
            name, start = known
            va = start + (pa % mode.page_size) // _WORD * mode.level(name).size
            describe = machine.target.describe
            return StateDifference(f"{name} entry of VA {va:#x}", describe(name, kernel), describe(name, engine))
        return StateDifference(self._place(pa), f"{kernel:#018x}", f"{engine:#018x}")

    def _place(self, pa: int) -> str:
        """What stands at a PA, as the kernel's machine maps it: a field of a struct page, or a bare frame."""
        machine = self._machine
        pages, layout = machine.struct_pages, machine.struct_pages.layout
        shift = machine.target.mode.page_shift
        first, last = machine.vmemmap[0][0], machine.vmemmap[-1][1]
        count = (last - first) * layout.size >> shift
        frames = machine.tables.frames(pages.va(first), count)
        where = np.flatnonzero(frames == pa >> shift)
        if not where.size:
            return f"PFN {pa >> shift:#x}, offset {pa % (1 << shift):#x}"
        va = pages.va(first) + (int(where[0]) << shift) + pa % (1 << shift)
        return f"struct page of PFN {pages.pfn(va):#x}, {_field(layout, (va - pages.base) % layout.size)}"


def _field(layout: object, offset: int) -> str:
    names = ("flags", "lru_next", "lru_prev", "mapping", "index", "private", "page_type")
    found = [name for name in names if getattr(layout, name) == offset]
    return found[0] if found else f"offset {offset}"
