# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios in which a kernel's HVO is compared with the engine, as data."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final, NamedTuple

from hvolab.arch import PagingMode, Target
from hvolab.hvo import VmemmapSizes
from hvolab.machine import VmemmapBacking
from hvolab.release import DEFAULT
from hvolab.units import format_short

#: Orders of folios besides the mode's huge pages, as log2 of pages of vmemmap: the largest that HVO does not optimize,
#: the two smallest that it does, and one with a part of a table. HVO reads nothing but the order of an hstate.
_VMEMMAP_ORDERS: Final = (0, 1, 2, 7)
#: The largest huge page in a scenario.
_LARGEST: Final = 1 << 30
#: Folios of higher orders need a machine of gigabytes.
_GIGANTIC: Final = 13
_SMALLEST_MEMORY: Final = 512 << 20


class Operation(enum.Enum):
    """Operation of a step. The value is the kernel's function, or the new value of the switch."""

    OPTIMIZE = "hugetlb_vmemmap_optimize_folio"
    RESTORE = "hugetlb_vmemmap_restore_folio"
    OPTIMIZE_LIST = "hugetlb_vmemmap_optimize_folios"
    RESTORE_LIST = "hugetlb_vmemmap_restore_folios"
    SWITCH_ON = "vm.hugetlb_optimize_vmemmap = 1"
    SWITCH_OFF = "vm.hugetlb_optimize_vmemmap = 0"


_LISTS: Final = frozenset({Operation.OPTIMIZE_LIST, Operation.RESTORE_LIST})


@dataclass(frozen=True)
class ScenarioStep:
    """One operation on some of the scenario's folios, given by their positions."""

    operation: Operation
    folios: tuple[int, ...] = (0,)

    @property
    def name(self) -> str:
        """Name of the operation, in lower case."""
        return self.operation.name.lower()

    def __str__(self) -> str:
        return f"{self.name}({', '.join(map(str, self.folios))})"


@dataclass(frozen=True)
class FolioPlacement:
    """Place of a folio: the vmemmap leaf that describes it, counted from the last, and the position in that leaf."""

    unit: int = 0
    position: int = 0


@dataclass(frozen=True)
class ScenarioData:
    """Scenario of `hvolab kernel --list`: steps that lead to its initial state, and steps that are compared."""

    name: str
    prelude: tuple[str, ...]
    steps: tuple[str, ...]


@dataclass(frozen=True)
class HvoScenarioData(ScenarioData):
    """Scenario of HVO's own functions.

    order    order of the folios
    vmemmap  frames that the vmemmap is made of
    flip     the outside call of the steps at which the switch changes, 1 being the first; 0: none
    """

    order: int
    vmemmap: str
    flip: int


@dataclass(frozen=True)
class Scenario:
    """Steps on folios of one order.

    name      such as ``2M boot: restore``
    order     order of the folios
    backing   frames that the vmemmap is made of
    places    places of the folios
    prelude   steps that lead to the initial state; no allocation fails in them
    steps     steps that are compared, also with failing allocations
    flip      the outside call of the steps at which the switch changes, 1 being the first; 0: none
    """

    name: str
    order: int
    backing: VmemmapBacking
    places: tuple[FolioPlacement, ...]
    prelude: tuple[ScenarioStep, ...]
    steps: tuple[ScenarioStep, ...]
    flip: int = 0

    def data(self) -> HvoScenarioData:
        """Return the scenario for JSON."""
        prelude, steps = (tuple(map(str, steps)) for steps in (self.prelude, self.steps))
        return HvoScenarioData(self.name, prelude, steps, self.order, self.backing.value, self.flip)

    @property
    def gigantic(self) -> bool:
        """True if the folios need a large machine."""
        return self.order > _GIGANTIC

    @property
    def takes_lists(self) -> bool:
        """True if a step takes a list of folios."""
        return any(step.operation in _LISTS for step in (*self.prelude, *self.steps))

    @property
    def first(self) -> int:
        """Position of the first folio in a unit: 1 if self-hosted vmemmap is at position 0."""
        return 1 if self.backing is VmemmapBacking.SELF_HOSTED else 0

    def unit(self, mode: PagingMode) -> int:
        """Return the frames of a unit of places: those that a vmemmap leaf describes, or more for larger folios."""
        positions = self.first + max(place.position for place in self.places) + 1
        return max(_described(mode), positions << self.order)

    def memory(self, mode: PagingMode) -> int:
        """Return the bytes of a machine with room for the folios and for everything else below them."""
        units = max(place.unit for place in self.places) + 1
        frames = units * self.unit(mode) + max(_described(mode), 1 << self.order)
        return max(_SMALLEST_MEMORY, frames << mode.page_shift)


def _described(mode: PagingMode) -> int:
    """Return the frames that the struct pages in one vmemmap leaf describe."""
    return mode.level(mode.vmemmap_level).size // DEFAULT.struct_page.size


class _Template(NamedTuple):
    """A scenario without order and backing: fields as in :class:`Scenario`."""

    title: str
    steps: tuple[ScenarioStep, ...]
    prelude: tuple[ScenarioStep, ...] = ()
    places: tuple[FolioPlacement, ...] = (FolioPlacement(),)
    flip: int = 0


_BATCH: Final = (0, 1, 2)
_OPTIMIZE, _RESTORE = ScenarioStep(Operation.OPTIMIZE), ScenarioStep(Operation.RESTORE)
_OPTIMIZE_SECOND = ScenarioStep(Operation.OPTIMIZE, (1,))
_ON, _OFF = ScenarioStep(Operation.SWITCH_ON, ()), ScenarioStep(Operation.SWITCH_OFF, ())
_OPTIMIZE_LIST, _RESTORE_LIST = ScenarioStep(Operation.OPTIMIZE_LIST), ScenarioStep(Operation.RESTORE_LIST)
_OPTIMIZE_BATCH = ScenarioStep(Operation.OPTIMIZE_LIST, _BATCH)
_RESTORE_BATCH = ScenarioStep(Operation.RESTORE_LIST, _BATCH)
_TWO: Final = (FolioPlacement(), FolioPlacement(0, 1))
_THREE: Final = (*_TWO, FolioPlacement(0, 2))
_APART: Final = (FolioPlacement(), FolioPlacement(1), FolioPlacement(2))

_SINGLE: Final[tuple[_Template, ...]] = (
    _Template("optimize", (_OPTIMIZE,)),
    _Template("restore", (_RESTORE,), (_OPTIMIZE,)),
    _Template("restore what is not optimized", (_RESTORE,)),
    _Template("optimize twice", (_OPTIMIZE,), (_OPTIMIZE,)),
    _Template("optimize again, its PMD split", (_OPTIMIZE,), (_OPTIMIZE, _RESTORE)),
    _Template("switched off", (_OPTIMIZE,), (_OFF,)),
    _Template("switched off once optimized", (_RESTORE, _OPTIMIZE), (_OPTIMIZE, _OFF)),
    _Template("switched on again", (_OPTIMIZE,), (_OFF, _OPTIMIZE, _ON)),
)
_NEIGHBORS: Final[tuple[_Template, ...]] = (
    _Template("optimize, its PMD split by a neighbor", (_OPTIMIZE,), (_OPTIMIZE_SECOND,), _TWO),
    _Template("restore next to an optimized neighbor", (_RESTORE,), (_OPTIMIZE, _OPTIMIZE_SECOND), _TWO),
    _Template("batch below one PMD", (_OPTIMIZE_BATCH,), (), _THREE),
    _Template("batch below three PMDs", (_OPTIMIZE_BATCH,), (), _APART),
    _Template("batch, one optimized already", (_OPTIMIZE_BATCH,), (_OPTIMIZE_SECOND,), _THREE),
    _Template("batch, the first optimized already", (_OPTIMIZE_BATCH,), (_OPTIMIZE,), _THREE),
    _Template("batch switched off", (_OPTIMIZE_BATCH,), (_OFF,), _THREE),
    _Template("batch switched off at its third call", (_OPTIMIZE_BATCH,), (), _APART, 3),
    _Template("batch switched off at its sixth call", (_OPTIMIZE_BATCH,), (), _APART, 6),
    _Template("batch switched on at its first call", (_OPTIMIZE_BATCH,), (_OFF,), _APART, 1),
    _Template("batch of none", (ScenarioStep(Operation.OPTIMIZE_LIST, ()), ScenarioStep(Operation.RESTORE_LIST, ()))),
    _Template("restore a batch below one PMD", (_RESTORE_BATCH,), (_OPTIMIZE_BATCH,), _THREE),
    _Template("restore a batch below three PMDs", (_RESTORE_BATCH,), (_OPTIMIZE_BATCH,), _APART),
    _Template("restore a mixed list", (_RESTORE_BATCH,), (ScenarioStep(Operation.OPTIMIZE_LIST, (0, 2)),), _THREE),
    _Template("restore a list, none optimized", (_RESTORE_BATCH,), (), _THREE),
    _Template("restore a list, and optimize it again", (_RESTORE_BATCH, _OPTIMIZE_BATCH), (_OPTIMIZE_BATCH,), _THREE),
)
_LISTS_OF_ONE: Final[tuple[_Template, ...]] = (
    _Template("batch of one", (_OPTIMIZE_LIST,)),
    _Template("restore a batch of one", (_RESTORE_LIST,), (_OPTIMIZE_LIST,)),
)
_SELF_HOSTED: Final = tuple(one for one in (*_SINGLE, *_NEIGHBORS) if one.title in {"optimize", "batch below one PMD"})


def scenarios_of(target: Target) -> tuple[Scenario, ...]:
    """Return every scenario for a target: each order, each backing of the vmemmap, each template."""
    mode = target.mode
    middle = mode.levels[-2].shift - mode.page_shift
    orders = {(huge.size >> mode.page_shift).bit_length() - 1 for huge in mode.huge_pages}
    orders |= {(mode.page_size // DEFAULT.struct_page.size).bit_length() - 1 + pages for pages in _VMEMMAP_ORDERS}
    scenarios = []
    for order in sorted(order for order in orders if 1 << order << mode.page_shift <= _LARGEST):
        size = 1 << order << mode.page_shift
        templates = _SINGLE if order != middle else (*_SINGLE, *_NEIGHBORS)
        if size == _LARGEST:
            templates = (*_SINGLE, *_LISTS_OF_ONE)
        if not VmemmapSizes(order, mode.page_size, DEFAULT.struct_page.size).optimizable:
            templates = (_SINGLE[0], _LISTS_OF_ONE[0])
        for backing in (VmemmapBacking.BOOT, VmemmapBacking.BUDDY, VmemmapBacking.SELF_HOSTED):
            hosted = backing is VmemmapBacking.SELF_HOSTED
            # if the vmemmap is mapped by pages, a machine's self-hosted pages are inside the folio
            if hosted and (order != middle or 2 << order > _described(mode)):
                continue
            for title, steps, prelude, places, flip in _SELF_HOSTED if hosted else templates:
                name = f"{format_short(size)} {backing.value}: {title}"
                scenarios.append(Scenario(name, order, backing, places, prelude, steps, flip))
    return tuple(scenarios)
