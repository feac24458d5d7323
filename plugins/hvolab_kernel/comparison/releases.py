"""A kernel of another release beside the engine: what differs, each difference laid to what it has or lacks.

The engine follows v6.12. Frames are not compared by number, since a release that allocates otherwise has others:
what is compared are outside calls in order, results, counters, and for each folio how its vmemmap is mapped and what
it says. No allocation fails, and no switch is thrown meanwhile: the n-th call of one side is not that of the other.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hvolab.arch import Target
from hvolab.errors import EncodingError
from hvolab.hvo import V6_12, VmemmapSizes
from hvolab.machine import Machine, VmemmapBacking
from hvolab_kernel.comparison.calls import Call, in_words
from hvolab_kernel.comparison.causes import CAUSES, Seen
from hvolab_kernel.comparison.machine_pair import MachinePair, MachineUnderTest, Outcomes, Result
from hvolab_kernel.comparison.scenarios import Scenario
from hvolab_kernel.identify.features import BASELINE_FEATURES, HvoFeatures, features_of
from hvolab_vmlinux.kernel import Kernel

_MEMORY: Final = 512 << 20
#: Calls that a feature adds or takes away once for a folio at most.
_ONCE: Final = {"allocate", "free", "rcu", "flush range"}


@dataclass(frozen=True)
class ReleaseDifference:
    """A difference, and the feature of the release that it is laid to; empty: none explains it."""

    seen: Seen
    feature: str
    because: str

    def as_dict(self) -> dict[str, Any]:
        """The difference for JSON."""
        return {**asdict(self.seen), "feature": self.feature, "because": self.because}


@dataclass
class ReleaseComparison:
    """What was compared, and how often each difference was seen, in which scenarios."""

    scenarios: list[str] = field(default_factory=list)
    calls: int = 0
    seconds: float = 0.0
    differences: Counter[ReleaseDifference] = field(default_factory=Counter)
    where: dict[ReleaseDifference, str] = field(default_factory=dict)

    @property
    def unexplained(self) -> int:
        """How many differences no feature of the release explains."""
        return sum(count for one, count in self.differences.items() if not one.feature)


def runnable(scenarios: Sequence[Scenario], *, batches: bool) -> list[Scenario]:
    """Those of the scenarios that are compared: no gigantic folios, lists only where the kernel takes them."""

    def wanted(one: Scenario) -> bool:
        return not one.gigantic and not one.flip and (batches or not one.takes_lists)

    return [one for one in scenarios if wanted(one)]


def compare_release(
    target: Target,
    kernel: Kernel,
    scenarios: Sequence[Scenario],
    told: Callable[[Scenario], None] = lambda _: None,
) -> ReleaseComparison:
    """Compare a kernel of another release with the engine as v6.12 in scenarios."""
    result = ReleaseComparison()
    features = features_of(kernel)
    beds: dict[VmemmapBacking, MachinePair] = {}
    begun = time.perf_counter()
    for scenario in runnable(scenarios, batches=features.has("batches")):
        told(scenario)
        if scenario.backing not in beds:
            # the engine follows v6.12, whatever the kernel comes nearest to
            beds[scenario.backing] = MachinePair(target, kernel, V6_12, memory=_MEMORY, backing=scenario.backing)
        result.scenarios.append(scenario.name)
        for seen, calls in _seen(beds[scenario.backing], scenario):
            result.calls += calls
            if seen is not None:
                one = _explained(seen, features)
                result.differences[one] += 1
                result.where.setdefault(one, scenario.name)
    result.seconds = time.perf_counter() - begun
    return result


def _explained(seen: Seen, features: HvoFeatures) -> ReleaseDifference:
    """The difference, laid to the first cause that fits and that this kernel has otherwise than v6.12."""
    for cause in CAUSES:
        if features.has(cause.feature) is not BASELINE_FEATURES.get(cause.feature, False) and cause.fits(seen):
            return ReleaseDifference(seen, cause.feature, cause.because)
    return ReleaseDifference(seen, "", "")


def _seen(bed: MachinePair, scenario: Scenario) -> Iterator[tuple[Seen | None, int]]:
    """Everything that differs in a scenario; with None, how many outside calls the kernel made."""
    folios, done = bed.begin(scenario)
    before = [{side: _frames(side, folio, scenario.order)[0] for side in bed.sides} for folio in folios]
    for step in scenario.steps:
        done.append((step, *bed.carry_out(step, scenario.order, folios)))
        yield from ((Seen("finding", step.operation.name.lower(), text, ""), 0) for text in bed.findings)
    for outcomes in done:
        yield None, len(outcomes[2][1])
        yield from ((one, 0) for one in _steps(outcomes, bed.kernel.machine))
    ours, theirs = bed.engine.machine, bed.kernel.machine
    for name, kernel, engine in (
        ("static key", theirs.key, ours.key),
        ("nr_memmap_pages", theirs.counters.nr_memmap_pages, ours.counters.nr_memmap_pages),
        ("nr_memmap_boot_pages", theirs.counters.nr_memmap_boot_pages, ours.counters.nr_memmap_boot_pages),
    ):
        if kernel != engine:
            yield Seen("counter", name, f"{kernel - engine:+d}", ""), 0
    for folio, heads in zip(folios, before, strict=True):
        yield from ((one, 0) for one in _folio(bed, folio, scenario.order, heads))


def _steps(outcomes: Outcomes, machine: Machine) -> Iterator[Seen]:
    step, ours, theirs = outcomes
    name = step.operation.name.lower()
    if ours[0] != theirs[0]:
        yield Seen("result", name, _result(theirs), _result(ours))
    kernel, engine = ([_plain(call, machine) for call in side[1]] for side in (theirs, ours))
    alone: Counter[tuple[str, bool]] = Counter()
    matcher = SequenceMatcher(None, [one[0] for one in kernel], [one[0] for one in engine], autojunk=False)
    for tag, first, last, start, stop in matcher.get_opcodes():
        pairs = list(zip_longest(kernel[first:last], engine[start:stop]))
        if tag == "replace":  # of different kinds: not one in place of the other
            pairs = [(one, None) for one, _ in pairs if one] + [(None, one) for _, one in pairs if one]
        for mine, other in pairs:
            if mine != other:
                what = (mine or other or ("",))[0]
                if what in _ONCE and None in {mine, other}:
                    alone[what, mine is None] += 1
                    if alone[what, mine is None] > max(1, len(step.folios)):
                        what += ", more than one for a folio"
                yield Seen(f"call in {name}", what, _words(mine), _words(other))


def _result(result: Result) -> str:
    return str(result[0]).partition(" at ")[0]


def _plain(call: Call, machine: Machine) -> Call:
    """A call without what is another one's frame: which frames are handed out differs from the first difference on.

    VAs of the vmemmap become pages, counted from its first one.
    """
    match call[0]:
        case "allocate":
            return (*call[:-1], 0 if call[-1] is not None else None)
        case "free":
            return (*call[:-1], 0)
        case "flush range":
            return (call[0], *((va - machine.struct_pages.base) / machine.target.mode.page_size for va in call[1:]))
    return call


def _words(call: Call | None) -> str:
    if call is None:
        return "not called"
    if call[0] == "flush range":
        pages = call[2] - call[1]
        return f"{pages:g} page{'s are' if pages != 1 else ' is'} flushed"
    return in_words(call).replace(" = PFN 0x0", "").replace("PFN 0x0, ", "")  # whose number is left out


# how a folio's vmemmap is mapped


def _frames(side: MachineUnderTest, folio: int, order: int) -> npt.NDArray[np.int64]:
    machine = side.machine
    sizes = VmemmapSizes(order, machine.target.mode.page_size, machine.struct_pages.layout.size)
    return machine.tables.frames(folio & -machine.target.mode.page_size, max(1, sizes.pages))


def _folio(bed: MachinePair, folio: int, order: int, heads: Mapping[MachineUnderTest, int]) -> Iterator[Seen]:
    kernel, engine = (_mapping(side, folio, order, heads[side]) for side in (bed.kernel, bed.engine))
    for name, mine in kernel.items():
        if mine != engine[name]:
            yield Seen("mapping", name, mine, engine[name])
    layout, shift = bed.kernel.machine.struct_pages.layout, bed.kernel.machine.memory.page_shift
    words = [
        side.machine.memory.pages[_frames(side, folio, order) - (side.machine.memory.base >> shift)]
        for side in (bed.kernel, bed.engine)
    ]
    step = layout.size // 8
    for pages, name in ((slice(0, 1), "head page"), (slice(1, None), "tail pages")):
        for offset in range(step):
            kernels, engines = (side[pages, offset::step] for side in words)
            if not np.array_equal(kernels, engines):
                yield Seen("struct pages", f"{name}, byte {offset * 8}", "otherwise", "as in v6.12")


def _mapping(side: MachineUnderTest, folio: int, order: int, head: int) -> dict[str, str]:
    machine = side.machine
    frames = _frames(side, folio, order)
    page = machine.target.mode.page_size
    raws = [machine.tables.find((folio & -page) + number * page) for number in range(frames.size)]
    flags = [_flags(machine.target, step.level.name, step.raw) for step in raws]
    tails = frames[1:]
    if not tails.size:
        shared = "there are none"
    elif (tails == frames[0]).all():
        shared = "the head's"
    elif np.unique(tails).size == 1:
        shared = "one that is not the head's"
    else:
        shared = "one each"
    return {
        "head's frame": "as before" if frames[0] == head else "another",
        "head's flags": flags[0],
        "tails' frame": shared,
        "tails' flags": ", ".join(sorted(set(flags[1:]))),
    }


def _flags(target: Target, level: str, raw: int) -> str:
    """An entry without its address: the level, the bits in hex, and their names where they have some."""
    raw &= ~target.page_form.address_mask
    try:
        names = str(target.decode(level, raw)).rpartition(" ")[2]
    except EncodingError as error:
        names = f"({error.what})"
    return f"{level} {raw:#x} {names}"
