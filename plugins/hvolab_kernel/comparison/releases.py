"""Comparison of a kernel of another release with the engine as v6.12, each difference attributed to a feature.

Compared are outside calls in order, results, counters, and for each folio the mapping and the bytes of its vmemmap.
Frame numbers are not, since another order of allocations gives other frames. No allocation fails and no switch
changes: the n-th call of one side is not the n-th call of the other.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Final

import numpy as np
import numpy.typing as npt

from hvolab.arch import Target
from hvolab.arithmetic import WORD_BYTES
from hvolab.errors import EncodingError
from hvolab.hvo import V6_12, VmemmapSizes
from hvolab.machine import Machine
from hvolab_kernel.comparison.calls import Call, describe_call
from hvolab_kernel.comparison.causes import CAUSES, NOT_CALLED, ReleaseDifference
from hvolab_kernel.comparison.comparer import Comparer
from hvolab_kernel.comparison.differences import counters_of
from hvolab_kernel.comparison.machine_pair import MachinePair, StepResult, StepResults
from hvolab_kernel.comparison.scenarios import Scenario
from hvolab_kernel.comparison.selection import comparable_across_releases
from hvolab_kernel.identify.features import BASELINE_FEATURES, HvoFeatures, features_of
from hvolab_vmlinux.kernel import Kernel

#: Calls that a feature adds or removes at most once for a folio.
_ONCE: Final = {"allocate", "free", "rcu", "flush range"}


@dataclass
class ReleaseComparison:
    """Result of a comparison: the number of each difference, and the first scenario with it."""

    scenarios: list[str] = field(default_factory=list)
    calls: int = 0
    seconds: float = 0.0
    differences: Counter[ReleaseDifference] = field(default_factory=Counter)
    first_in: dict[ReleaseDifference, str] = field(default_factory=dict)

    @property
    def unexplained(self) -> int:
        """Number of differences that no feature of the release explains."""
        return sum(count for one, count in self.differences.items() if not one.feature)


def compare_release(
    target: Target,
    kernel: Kernel,
    scenarios: Sequence[Scenario],
    on_scenario: Callable[[Scenario], None] = lambda _: None,
) -> ReleaseComparison:
    """Compare a kernel of another release with the engine as v6.12; calls `on_scenario` before each scenario."""
    comparison = ReleaseComparison()
    features = features_of(kernel)
    comparer = Comparer(target, kernel, V6_12)
    begin = time.perf_counter()
    for scenario in comparable_across_releases(scenarios, batches=features.has("batches")):
        on_scenario(scenario)
        comparison.scenarios.append(scenario.name)
        calls, differences = _compared(comparer.pair(scenario), scenario)
        comparison.calls += calls
        for difference in differences:
            one = _attributed(difference, features)
            comparison.differences[one] += 1
            comparison.first_in.setdefault(one, scenario.name)
    comparison.seconds = time.perf_counter() - begin
    return comparison


def _attributed(difference: ReleaseDifference, features: HvoFeatures) -> ReleaseDifference:
    """Attribute a difference to the first cause that explains it, of those in which this kernel differs from v6.12."""
    for cause in CAUSES:
        differs = features.has(cause.feature) is not BASELINE_FEATURES.get(cause.feature, False)
        if differs and cause.explains(difference):
            return replace(difference, feature=cause.feature, because=cause.because)
    return difference


def _compared(pair: MachinePair, scenario: Scenario) -> tuple[int, list[ReleaseDifference]]:
    """Run a scenario; return the number of the kernel's outside calls, and all differences."""
    folios, prelude = pair.prepare(scenario, reuse=False)
    heads = [[_frames(one.machine, folio, scenario.order)[0] for one in pair.both] for folio in folios]
    steps = [pair.run(step, scenario, folios) for step in scenario.steps]
    engine, kernel = (one.machine for one in pair.both)
    found = [
        ReleaseDifference("finding", results.step.name, text, "") for results in steps for text in results.findings
    ]
    for results in (*prelude, *steps):
        found += _differing_results(results, kernel)
    ours, theirs = counters_of(engine), counters_of(kernel)
    found += [
        ReleaseDifference("counter", name, f"{value - ours[name]:+d}", "")
        for name, value in theirs.items()
        if value != ours[name]
    ]
    for folio, (engine_head, kernel_head) in zip(folios, heads, strict=True):
        found += _differing_mapping(
            _mapping(engine, folio, scenario.order, engine_head), _mapping(kernel, folio, scenario.order, kernel_head)
        )
        found += _differing_struct_pages(engine, kernel, folio, scenario.order)
    return sum(len(results.kernel.calls) for results in (*prelude, *steps)), found


def _differing_results(results: StepResults, machine: Machine) -> Iterator[ReleaseDifference]:
    name = results.step.name
    if results.engine.value != results.kernel.value:
        yield ReleaseDifference("result", name, _value(results.kernel), _value(results.engine))
    kernel, engine = ([_without_frame(call, machine) for call in one.calls] for one in (results.kernel, results.engine))
    counts: Counter[tuple[str, bool]] = Counter()
    matcher = SequenceMatcher(None, [call[0] for call in kernel], [call[0] for call in engine], autojunk=False)
    for tag, first, last, start, stop in matcher.get_opcodes():
        pairs = list(zip_longest(kernel[first:last], engine[start:stop]))
        if tag == "replace":  # calls of different kinds do not correspond
            pairs = [(one, None) for one, _ in pairs if one] + [(None, one) for _, one in pairs if one]
        for theirs, ours in pairs:
            if theirs != ours:
                what = (theirs or ours or ("",))[0]
                if what in _ONCE and None in {theirs, ours}:
                    counts[what, theirs is None] += 1
                    if counts[what, theirs is None] > max(1, len(results.step.folios)):
                        what += ", more than one for a folio"
                yield ReleaseDifference(f"call in {name}", what, _describe(theirs), _describe(ours))


def _value(result: StepResult) -> str:
    return str(result.value).partition(" at ")[0]


def _without_frame(call: Call, machine: Machine) -> Call:
    """Return a call without the number of its frame, and with VAs of the vmemmap as pages, counted from the first."""
    match call[0]:
        case "allocate":
            return (*call[:-1], 0 if call[-1] is not None else None)
        case "free":
            return (*call[:-1], 0)
        case "flush range":
            return (call[0], *((va - machine.struct_pages.base) / machine.target.mode.page_size for va in call[1:]))
    return call


def _describe(call: Call | None) -> str:
    if call is None:
        return NOT_CALLED
    if call[0] == "flush range":
        pages = call[2] - call[1]
        return f"{pages:g} page{'s are' if pages != 1 else ' is'} flushed"
    return describe_call(call).replace(" = PFN 0x0", "").replace("PFN 0x0, ", "")  # its number is removed


# the mapping of a folio's vmemmap


def _frames(machine: Machine, folio: int, order: int) -> npt.NDArray[np.int64]:
    sizes = VmemmapSizes(order, machine.target.mode.page_size, machine.struct_pages.layout.size)
    return machine.tables.frames(folio & -machine.target.mode.page_size, max(1, sizes.pages))


def _differing_struct_pages(engine: Machine, kernel: Machine, folio: int, order: int) -> Iterator[ReleaseDifference]:
    ours, theirs = (one.memory.pages[_frames(one, folio, order) - one.memory.first_pfn] for one in (engine, kernel))
    words = kernel.struct_pages.layout.size // WORD_BYTES
    for pages, name in ((slice(0, 1), "head page"), (slice(1, None), "tail pages")):
        for word in range(words):
            if not np.array_equal(theirs[pages, word::words], ours[pages, word::words]):
                yield ReleaseDifference("struct pages", f"{name}, byte {word * WORD_BYTES}", "differs", "as in v6.12")


def _differing_mapping(ours: dict[str, str], theirs: dict[str, str]) -> list[ReleaseDifference]:
    return [ReleaseDifference("mapping", name, theirs[name], ours[name]) for name in ours if theirs[name] != ours[name]]


def _mapping(machine: Machine, folio: int, order: int, old_head: int) -> dict[str, str]:
    frames = _frames(machine, folio, order)
    page_size = machine.target.mode.page_size
    entries = [machine.tables.find((folio & -page_size) + number * page_size) for number in range(frames.size)]
    flags = [_flags(machine.target, step.level.name, step.raw) for step in entries]
    head, tails = frames[0], frames[1:]
    if not tails.size:
        tail_frame = "there are none"
    elif (tails == head).all():
        tail_frame = "the head's"
    elif np.unique(tails).size == 1:
        tail_frame = "one that is not the head's"
    else:
        tail_frame = "one each"
    return {
        "head's frame": "as before" if head == old_head else "another",
        "head's flags": flags[0],
        "tails' frame": tail_frame,
        "tails' flags": ", ".join(sorted(set(flags[1:]))),
    }


def _flags(target: Target, level: str, raw: int) -> str:
    """Return an entry without its address: the level, the bits in hex, and their names if the entry decodes."""
    raw &= ~target.page_form.address_mask
    try:
        names = str(target.decode(level, raw)).rpartition(" ")[2]
    except EncodingError as error:
        names = f"({error.what})"
    return f"{level} {raw:#x} {names}"
