"""The scenarios in which a kernel's HVO and the engine are compared, as data."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from hvolab.arch import PagingMode, Target
from hvolab.hvo import VmemmapSizes
from hvolab.machine import STRUCT_PAGE_V6_12, VmemmapBacking
from hvolab.units import format_short

#: Pages of vmemmap, as powers of two, whose folios are tried beside the mode's huge pages: the largest that HVO leaves
#: alone, the smallest ones that it does not, and a part of a table. HVO asks of an hstate nothing but its order.
_VMEMMAP_ORDERS: Final = (0, 1, 2, 7)
#: The largest huge page that is tried.
_LARGEST: Final = 1 << 30
#: Folios of higher orders need a machine of gigabytes.
_GIGANTIC: Final = 13
_SMALLEST_MEMORY: Final = 512 << 20


class Operation(enum.Enum):
    """What a step does. The value is the kernel's function, or the switch."""

    OPTIMIZE = "hugetlb_vmemmap_optimize_folio"
    RESTORE = "hugetlb_vmemmap_restore_folio"
    OPTIMIZE_LIST = "hugetlb_vmemmap_optimize_folios"
    RESTORE_LIST = "hugetlb_vmemmap_restore_folios"
    SWITCH_ON = "vm.hugetlb_optimize_vmemmap = 1"
    SWITCH_OFF = "vm.hugetlb_optimize_vmemmap = 0"


#: Those that take lists of folios.
_LISTS: Final = frozenset({Operation.OPTIMIZE_LIST, Operation.RESTORE_LIST})


@dataclass(frozen=True)
class ScenarioStep:
    """One operation on some of the scenario's folios, by their positions."""

    operation: Operation
    folios: tuple[int, ...] = (0,)

    def __str__(self) -> str:
        return f"{self.operation.name.lower()}({', '.join(map(str, self.folios))})"


@dataclass(frozen=True)
class FolioPlacement:
    """Where a folio is: the leaf of the vmemmap that describes it, from the last one down, and its position there."""

    unit: int = 0
    position: int = 0


@dataclass(frozen=True)
class Scenario:
    """Steps on folios of one order.

    name      as ``2M boot restore``
    order     of the folios
    backing   whose frames the vmemmap lies in
    places    where the folios are
    prelude   steps that make the state from which it starts; no allocation fails in them
    steps     what is compared, with failing allocations too
    flip      the outside call of the steps at which the switch is thrown to the other side, 1 being the first; 0: none
    """

    name: str
    order: int
    backing: VmemmapBacking
    places: tuple[FolioPlacement, ...]
    prelude: tuple[ScenarioStep, ...]
    steps: tuple[ScenarioStep, ...]
    flip: int = 0

    @property
    def gigantic(self) -> bool:
        """Whether its folios need a large machine."""
        return self.order > _GIGANTIC

    @property
    def takes_lists(self) -> bool:
        """Whether some step takes a list of folios."""
        return any(step.operation in _LISTS for step in (*self.prelude, *self.steps))

    @property
    def first(self) -> int:
        """The position of the first folio in a unit: a self-hosted vmemmap lies where that would be."""
        return 1 if self.backing is VmemmapBacking.SELF_HOSTED else 0

    def unit(self, mode: PagingMode) -> int:
        """Frames of a unit of its places: what a leaf of the vmemmap describes, or more where its folios need more."""
        positions = self.first + max(place.position for place in self.places) + 1
        return max(_described(mode), positions << self.order)

    def memory(self, mode: PagingMode) -> int:
        """Bytes of a machine that has room for its folios, and for all else below them."""
        units = max(place.unit for place in self.places) + 1
        frames = units * self.unit(mode) + max(_described(mode), 1 << self.order)
        return max(_SMALLEST_MEMORY, frames << mode.page_shift)


def _described(mode: PagingMode) -> int:
    """Frames that the struct pages in one leaf of the vmemmap describe."""
    return mode.level(mode.vmemmap_level).size // STRUCT_PAGE_V6_12.size


_O, _R = Operation.OPTIMIZE, Operation.RESTORE
_OL, _RL = Operation.OPTIMIZE_LIST, Operation.RESTORE_LIST
_ON, _OFF = Operation.SWITCH_ON, Operation.SWITCH_OFF
_ONE: Final = (FolioPlacement(),)
_TWO: Final = (FolioPlacement(), FolioPlacement(0, 1))
_THREE: Final = (FolioPlacement(), FolioPlacement(0, 1), FolioPlacement(0, 2))
_APART: Final = (FolioPlacement(), FolioPlacement(1), FolioPlacement(2))
_BATCH: Final = (0, 1, 2)

#: Name, places, prelude, steps, flip.
_Story = tuple[str, tuple[FolioPlacement, ...], tuple[ScenarioStep, ...], tuple[ScenarioStep, ...], int]
_SINGLE: Final[tuple[_Story, ...]] = (
    ("optimize", _ONE, (), (ScenarioStep(_O),), 0),
    ("restore", _ONE, (ScenarioStep(_O),), (ScenarioStep(_R),), 0),
    ("restore what is not optimized", _ONE, (), (ScenarioStep(_R),), 0),
    ("optimize twice", _ONE, (ScenarioStep(_O),), (ScenarioStep(_O),), 0),
    ("optimize again, its PMD split", _ONE, (ScenarioStep(_O), ScenarioStep(_R)), (ScenarioStep(_O),), 0),
    ("switched off", _ONE, (ScenarioStep(_OFF, ()),), (ScenarioStep(_O),), 0),
    (
        "switched off once optimized",
        _ONE,
        (ScenarioStep(_O), ScenarioStep(_OFF, ())),
        (ScenarioStep(_R), ScenarioStep(_O)),
        0,
    ),
    (
        "switched on again",
        _ONE,
        (ScenarioStep(_OFF, ()), ScenarioStep(_O), ScenarioStep(_ON, ())),
        (ScenarioStep(_O),),
        0,
    ),
)
_NEIGHBORS: Final[tuple[_Story, ...]] = (
    ("optimize, its PMD split by a neighbor", _TWO, (ScenarioStep(_O, (1,)),), (ScenarioStep(_O),), 0),
    ("restore beside an optimized neighbor", _TWO, (ScenarioStep(_O), ScenarioStep(_O, (1,))), (ScenarioStep(_R),), 0),
    ("batch below one PMD", _THREE, (), (ScenarioStep(_OL, _BATCH),), 0),
    ("batch below three PMDs", _APART, (), (ScenarioStep(_OL, _BATCH),), 0),
    ("batch, one optimized already", _THREE, (ScenarioStep(_O, (1,)),), (ScenarioStep(_OL, _BATCH),), 0),
    ("batch, the first optimized already", _THREE, (ScenarioStep(_O, (0,)),), (ScenarioStep(_OL, _BATCH),), 0),
    ("batch switched off", _THREE, (ScenarioStep(_OFF, ()),), (ScenarioStep(_OL, _BATCH),), 0),
    ("batch switched off at its third call", _APART, (), (ScenarioStep(_OL, _BATCH),), 3),
    ("batch switched off at its sixth call", _APART, (), (ScenarioStep(_OL, _BATCH),), 6),
    ("batch switched on at its first call", _APART, (ScenarioStep(_OFF, ()),), (ScenarioStep(_OL, _BATCH),), 1),
    ("batch of none", _ONE, (), (ScenarioStep(_OL, ()), ScenarioStep(_RL, ())), 0),
    ("restore a batch below one PMD", _THREE, (ScenarioStep(_OL, _BATCH),), (ScenarioStep(_RL, _BATCH),), 0),
    ("restore a batch below three PMDs", _APART, (ScenarioStep(_OL, _BATCH),), (ScenarioStep(_RL, _BATCH),), 0),
    ("restore a mixed list", _THREE, (ScenarioStep(_OL, (0, 2)),), (ScenarioStep(_RL, _BATCH),), 0),
    ("restore a list, none optimized", _THREE, (), (ScenarioStep(_RL, _BATCH),), 0),
    (
        "restore a list, and optimize it again",
        _THREE,
        (ScenarioStep(_OL, _BATCH),),
        (ScenarioStep(_RL, _BATCH), ScenarioStep(_OL, _BATCH)),
        0,
    ),
)
_GIANT_LISTS: Final[tuple[_Story, ...]] = (
    ("batch of one", _ONE, (), (ScenarioStep(_OL, (0,)),), 0),
    ("restore a batch of one", _ONE, (ScenarioStep(_OL, (0,)),), (ScenarioStep(_RL, (0,)),), 0),
)
_SELF_HOSTED: Final = tuple(one for one in (*_SINGLE, *_NEIGHBORS) if one[0] in {"optimize", "batch below one PMD"})


def scenarios_of(target: Target) -> tuple[Scenario, ...]:
    """Every scenario for a target: each order, each backing of the vmemmap, each story."""
    mode = target.mode
    middle = mode.levels[-2].shift - mode.page_shift
    orders = {(huge.size >> mode.page_shift).bit_length() - 1 for huge in mode.huge_pages}
    orders |= {(mode.page_size // STRUCT_PAGE_V6_12.size).bit_length() - 1 + pages for pages in _VMEMMAP_ORDERS}
    made = []
    for order in sorted(order for order in orders if 1 << order << mode.page_shift <= _LARGEST):
        name = format_short(1 << order << mode.page_shift)
        stories = _SINGLE if order != middle else (*_SINGLE, *_NEIGHBORS)
        if 1 << order << mode.page_shift == _LARGEST:
            stories = (*_SINGLE, *_GIANT_LISTS)
        if not VmemmapSizes(order, mode.page_size, STRUCT_PAGE_V6_12.size).optimizable:
            stories = _SINGLE[:1]
        for backing in (VmemmapBacking.BOOT, VmemmapBacking.BUDDY, VmemmapBacking.SELF_HOSTED):
            hosted = backing is VmemmapBacking.SELF_HOSTED
            # where pages map the vmemmap, a machine's self-hosted pages lie within what would be the folio
            if hosted and (order != middle or 2 << order > _described(mode)):
                continue
            for title, places, prelude, steps, flip in _SELF_HOSTED if hosted else stories:
                words = f"{name} {backing.value}: {title}"
                made.append(Scenario(words, order, backing, places, prelude, steps, flip))
    return tuple(made)
