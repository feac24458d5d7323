# SPDX-License-Identifier: GPL-2.0-only
"""Operations that an engine ends: what the findings name, and what is no finding."""

from __future__ import annotations

import re
from typing import Any

import pytest

from hvolab.arch import PageFault
from hvolab.errors import KernelBug, MachineError, OwnershipError, UsageError
from hvolab.hvo import EngineSetup, Hvo
from hvolab.machine.struct_pages import lists
from hvolab.scenario import ScenarioResult, ScenarioSpec, run_data, run_scenario
from hvolab.scenario.operations import parse_operations
from hvolab.scenario.stops import is_finding
from tests.machines import MIB, x86_64


def run(engine: Any, operations: str = "", **choice: Any) -> ScenarioResult:
    target = x86_64()
    requests = parse_operations(operations, target) if operations else ()
    spec = ScenarioSpec(target, 256 * MIB, hugepages={2 * MIB: 2}, engine=EngineSetup(engine), operations=requests)
    return run_scenario(ScenarioSpec(**{**vars(spec), **choice}))


def completion(result: ScenarioResult) -> str:
    (found,) = (str(finding) for finding in result.findings if finding.rule == "completion")
    return found


class NoFlush(Hvo):
    def optimize_folios(self, h: Any, folio_list: int) -> None:
        flush, self.machine.flush_tlb_all = self.machine.flush_tlb_all, lambda: None  # type: ignore[method-assign]
        super().optimize_folios(h, folio_list)
        self.machine.flush_tlb_all = flush  # type: ignore[method-assign]


def test_pages_freed_before_their_flush_end_in_findings_and_not_in_a_loop() -> None:
    result = run(NoFlush, "resize 2M 2, resize 2M 1")
    assert {"flushed", "ownership", "translations", "completion"} <= {finding.rule for finding in result.findings}
    assert "16 frames were freed before" in str([*result.findings][1])
    assert "list corruption" in completion(result)
    assert not result.as_declared


class NoFlag(Hvo):
    def _set_optimized(self, folio: int, *, optimized: bool) -> None:
        pass


def test_a_fault_names_folio_steps_and_function_and_what_came_before_is_reported() -> None:
    result = run(NoFlag)
    assert result.stopped
    rules = [finding.rule for finding in result.findings]
    assert (rules[0], rules[-1]) == ("flag_order", "completion")
    text = completion(result)
    assert "permission fault of CPU 0: write at VA 0xffffea0000041000, entry 0x8000000001402121 (pte leaf" in text
    assert re.search(r"; folio PFN 0x1000; after .*batch restore.end; in ", text)
    assert "in Pool.update_and_free() (pool.py:" in text
    assert result.stopped
    assert "permission fault" in str(run_data(result).findings[-1])


class Circle(Hvo):
    def optimize_folios(self, h: Any, folio_list: int) -> None:
        super().optimize_folios(h, folio_list)
        first, *_, last = self._on_list(folio_list).tolist()
        self.cpu.store_word(last + self._layout.lru_next, first + self._layout.lru_next)


class Poisoned(Hvo):
    """Leaves LIST_POISON2 as the list's first node: an address that is not aligned."""

    def optimize_folios(self, h: Any, folio_list: int) -> None:
        super().optimize_folios(h, folio_list)
        self.cpu.store_word(folio_list, lists.POISON[1])


class Lost(Hvo):
    def optimize_folios(self, _: Any, folio_list: int) -> None:
        lists.delete(self.cpu, next(lists.nodes(self.cpu, folio_list)))


class Raises(Hvo):
    def restore_folios(self, *_: Any) -> int:
        raise KeyError("page")


class Exits(Hvo):
    def restore_folios(self, *_: Any) -> int:
        raise SystemExit(0)


class Unmade(Hvo):
    def __init__(self, _: Any) -> None:
        raise ValueError("no engine today")


class Unusable(Hvo):
    def optimize_folios(self, *_: Any) -> None:
        raise UsageError("an allocation of order 99")


@pytest.mark.parametrize(
    ("engine", "text"),
    [
        (Circle, r"list corruption: next->prev of the node at VA 0xffffea000004.008.*; folio PFN 0x1.00;"),
        (Poisoned, r"usage: .*0xdead00000000012a.*; folio PFN 0x1.00;"),
        (Lost, r"a pool has fewer pages than fit into memory.*; folio PFN 0x1.00;"),
        (Raises, r"KeyError: 'page'; folio PFN 0x1.00; after .*in Raises.restore_folios\(\) \(test_stops.py:"),
        (Exits, r"SystemExit: 0; folio PFN 0x1.00; after"),
        (Unmade, r"ValueError: no engine today; in Unmade.__init__\(\)"),
        (Unusable, r"usage: an allocation of order 99"),
    ],
)
def test_whatever_an_engine_does_is_a_finding(engine: Any, text: str) -> None:
    result = run(engine)
    assert result.stopped
    assert re.search(text, completion(result)), completion(result)


def test_wrong_use_and_faults_of_hvolab_are_no_findings() -> None:
    for error in (UsageError("x"), MachineError("x"), KeyboardInterrupt(), MemoryError()):
        assert not is_finding(error, in_engine=False, own_engine=False)
    assert not is_finding(KeyboardInterrupt(), in_engine=True, own_engine=False)
    assert not is_finding(KeyError("x"), in_engine=True, own_engine=True)
    for finding in (KernelBug("x"), OwnershipError("x"), PageFault.__new__(PageFault)):
        assert is_finding(finding, in_engine=False, own_engine=True)
    assert is_finding(KeyError("x"), in_engine=False, own_engine=False)


def test_huge_pages_that_do_not_fit_are_wrong_use_with_any_engine() -> None:
    with pytest.raises(UsageError, match="do not fit"):
        run(Hvo, hugepages={2 * MIB: 127})
