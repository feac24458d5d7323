# SPDX-License-Identifier: GPL-2.0-only
"""A comparison that is spread over processes has the result of one process, whatever the processes run."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hvolab.arch import Target
from hvolab_kernel.commands.compare import Selection, Subject, run_comparison
from hvolab_kernel.comparison import sweep as sweeps
from hvolab_kernel.comparison.comparer import CaseResult, ComparisonCase, KernelComparison, compare
from hvolab_kernel.comparison.differences import StateDifference
from hvolab_kernel.comparison.scenarios import ScenarioData
from hvolab_kernel.comparison.sweep import sweep
from hvolab_vmlinux.kernel import Kernel
from hvolab_vmlinux.open import read_kernel
from tests.machines import x86_64
from tests.plugins.hvolab_kernel.cli_runner import image_of
from tests.plugins.hvolab_kernel.code.made_up_code import x86_kernel_like_6_12
from tests.plugins.hvolab_kernel.kernel_machines import X86
from tests.plugins.hvolab_vmlinux.made_up_kernels import elf_image

pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")


@dataclass(frozen=True)
class Countdown:
    """A scenario with so many allocations."""

    name: str
    allocations: int
    prelude: Sequence[object] = ()
    steps: Sequence[object] = ()
    gigantic: bool = False

    def data(self) -> ScenarioData:
        return ScenarioData(self.name, (), ())


class Counter:
    """A comparer whose cases differ where an odd allocation fails, and end at the second one that does."""

    omitted: tuple[str, ...] = ()
    against = "a model"

    def __init__(self, target: Target, kernel: Kernel) -> None:
        self.target = target
        self.kernel = kernel
        self.run_cases: list[ComparisonCase[Countdown]] = []

    def run(self, case: ComparisonCase[Countdown]) -> CaseResult:
        self.run_cases.append(case)
        first = case.failing[0] if case.failing else 0
        differences = (StateDifference("number", f"{case}", ""),) * (first % 2)
        return CaseResult(differences, min(case.scenario.allocations, first + 2 if first else 99), 1)


@pytest.fixture(scope="module")
def kernel() -> Kernel:
    return read_kernel(elf_image(x86_kernel_like_6_12()), "made up")


def as_tuple(result: KernelComparison[Any]) -> tuple[object, ...]:
    return (
        (result.cases, result.calls, result.pairs, result.duplicates, list(map(str, result.findings))),
        list(result.per_scenario.items()),
        list(result.disagreements.items()),
    )


@pytest.mark.parametrize("seconds", [-1.0, 0.0001, 60.0], ids=["each group alone", "some chunks", "one chunk"])
@pytest.mark.parametrize("every", [False, True])
def test_chunks_of_any_size_give_the_result_of_one_process(
    kernel: Kernel, *, seconds: float, every: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeps, "_SECONDS", seconds)
    scenarios = [Countdown(f"of {count}", count) for count in (0, 1, 7, 30, 80)]
    counter = Counter(x86_64(), kernel)
    expected = compare(counter, scenarios, every=every)
    workers: list[Counter] = []

    def make() -> Counter:
        workers.append(Counter(counter.target, kernel))
        return workers[-1]

    seen: list[tuple[int, int, int]] = []
    with ThreadPoolExecutor(3) as executor:
        result = sweep(counter, make, scenarios, executor, every=every, on_progress=lambda *n: seen.append(n))
    assert as_tuple(result) == as_tuple(expected)
    assert len(workers) == 1
    assert sorted(map(str, workers[0].run_cases)) == sorted(map(str, counter.run_cases))
    assert seen[-1] == (5, result.cases + result.duplicates, result.cases + result.duplicates)


def test_an_interrupt_names_what_has_arrived(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeps, "_SECONDS", -1.0)
    counter = Counter(x86_64(), kernel)
    scenarios = [Countdown("of 3", 3), Countdown("of 5", 5)]

    def interrupt(*numbers: int, **_: int) -> None:
        if numbers[-1] > 3:
            raise KeyboardInterrupt

    message = r"\d+ cases in [12] of 2 scenarios were compared, \d+ differ"
    with ThreadPoolExecutor(1) as executor, pytest.raises(KeyboardInterrupt, match=message):
        sweep(counter, lambda: Counter(counter.target, kernel), scenarios, executor, on_progress=interrupt)


@pytest.mark.slow
@X86
def test_processes_and_one_process_agree_about_a_kernel(real_kernel: Kernel) -> None:
    subject = Subject(Path(image_of(real_kernel)))
    selection = Selection(["2M boot: restore", "2M buddy: batch below one PMD", "256K"])
    (_, alone), (_, together) = (run_comparison(subject, selection, jobs) for jobs in (1, 2))
    assert as_tuple(alone) == as_tuple(together)
    assert alone.cases > 50
