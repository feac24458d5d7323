# SPDX-License-Identifier: GPL-2.0-only
"""Comparisons of `hvolab kernel`: a kernel's HVO, or its callers in hugetlb, with hvolab's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from hvolab.arch import Target
from hvolab.cli.progress_bar import OnUnits, progress_bar
from hvolab.errors import UsageError
from hvolab.executors import executor_of
from hvolab.release import KernelFeature
from hvolab_kernel.commands.options import Against
from hvolab_kernel.comparison import Comparer, compare, scenarios_of
from hvolab_kernel.comparison.callers import PoolComparer, pool_scenarios_of
from hvolab_kernel.comparison.comparer import CaseRunner, KernelComparison, NamedScenario
from hvolab_kernel.comparison.rules import RuleRunner
from hvolab_kernel.comparison.selection import chosen_scenarios, comparable, quick_scenarios, target_of
from hvolab_kernel.comparison.sweep import SCENARIOS_EACH, sweep
from hvolab_kernel.identify.features import features_of
from hvolab_kernel.objects.link import link_object
from hvolab_vmlinux.kernel import Kernel
from hvolab_vmlinux.open import open_kernel


@dataclass(frozen=True)
class Subject:
    """Subject of a comparison, as the command line names it; each process opens it by itself.

    image                    path of the kernel image
    object                   path of an object that is linked over it; None: none is
    cache                    whether it is cached
    mode, features, release  of the target; None, or empty: those of the image
    callers                  compare its functions that call HVO
    against                  the reference; None: the model
    before                   object that is the reference in place of the image's own code; None: none is
    """

    image: Path
    object: Path | None = None
    cache: bool = True
    mode: str | None = None
    features: tuple[str, ...] = ()
    release: str | None = None
    callers: bool = False
    against: Against | None = None
    before: Path | None = None

    def open(self) -> tuple[Kernel, Target]:
        """Return the kernel with its object, and the target to run it on; raises as their readers do."""
        kernel = open_kernel(self.image, use_cache=self.cache)
        if self.object is not None:
            kernel = link_object(kernel, self.object).kernel
        return kernel, target_of(kernel, self.mode, self.features, self.release)

    def __call__(self) -> CaseRunner[Any]:
        """Return the comparer."""
        kernel, target = self.open()
        if self.callers:
            return PoolComparer(target, kernel)
        if self.against is Against.RULES:
            return RuleRunner(target, kernel)
        rules = None if kernel.linked is None else RuleRunner(target, kernel)
        return Comparer(target, kernel, reference=self._reference(kernel), rules=rules)

    def _reference(self, kernel: Kernel) -> Kernel | None:
        """Return the kernel that an object is compared with; None: the model."""
        if self.against is not Against.IMAGE:
            return None
        before = None if kernel.linked is None else kernel.linked.before
        if before is not None and self.before is not None:
            return link_object(before, self.before).kernel
        if before is None or not features_of(before).exists:
            raise UsageError(
                "--against image requires an object, and an image that has HVO",
                where=str(self.image),
                hint="name your object: --object FILE.o; or compare with the model: --against model",
            )
        return before

    def scenarios(self, target: Target) -> Sequence[NamedScenario]:
        """Return every scenario for a target."""
        return pool_scenarios_of(target) if self.callers else scenarios_of(target)


@dataclass(frozen=True)
class Selection:
    """Selection of scenarios and cases.

    texts  parts of the names of the scenarios; None: all of them
    quick  only those of the leaf's size, and optimizing the largest huge page
    every  every allocation fails in turn, however many there are
    """

    texts: Sequence[str] | None = None
    quick: bool = False
    every: bool = False

    def chosen(self, subject: Subject, target: Target) -> tuple[NamedScenario, ...]:
        """Return the scenarios for a target; raises UsageError for a text that is in no name."""
        scenarios = subject.scenarios(target)
        return chosen_scenarios(quick_scenarios(scenarios, target.mode) if self.quick else scenarios, self.texts)


@dataclass(frozen=True)
class PreparedComparison:
    """A comparison that can be run.

    subject    its subject
    selection  selection of its cases
    comparer   the comparer of this process
    scenarios  those of the selection that apply to the kernel
    """

    subject: Subject
    selection: Selection
    comparer: CaseRunner[Any]
    scenarios: Sequence[Any]

    def run(self, executor: Executor | None) -> KernelComparison[Any]:
        """Compare, with the progress on a terminal; None: in this process."""
        every = self.selection.every
        with progress_bar("cases") as bar:
            on_progress = partial(_report, bar, len(self.scenarios))
            if executor is None:
                return compare(self.comparer, self.scenarios, every=every, on_progress=on_progress)
            return sweep(self.comparer, self.subject, self.scenarios, executor, every=every, on_progress=on_progress)


def _report(bar: OnUnits, count: int, scenarios: int, cases: int, done: int) -> None:
    """Show the progress in so many scenarios; those that have not begun have as many cases as the others."""
    bar(done, cases * count / scenarios, f"{scenarios} of {count} scenarios")


def prepare(subject: Subject, selection: Selection) -> PreparedComparison:
    """Open a subject, and select the scenarios; raises as both do."""
    comparer = subject()
    scenarios: Sequence[Any] = selection.chosen(subject, comparer.target)
    if isinstance(comparer, PoolComparer):
        scenarios = comparer.functions.runnable(scenarios)
    else:
        batches = features_of(comparer.kernel).has(KernelFeature.BATCHES)
        scenarios = comparable(scenarios, comparer.target.release.variant, batches=batches)
    return PreparedComparison(subject, selection, comparer, scenarios)


def run_comparison(
    subject: Subject, selection: Selection, jobs: int | None = None, executor: str | None = None
) -> tuple[CaseRunner[Any], KernelComparison[Any]]:
    """Compare a subject in the selected scenarios; return the comparer, and the result.

    jobs, executor  number of processes, or the cluster; see `executor_of`
    """
    (result,) = _run_all((subject,), selection, jobs, executor)
    return result


def run_against(
    subject: Subject, selection: Selection, jobs: int | None = None, executor: str | None = None
) -> Iterator[tuple[CaseRunner[Any], KernelComparison[Any]]]:
    """Compare a subject with each of its references; yield each comparer, and its result, as `run_comparison` does."""
    both = subject.object is not None and not (subject.callers or selection.quick)
    against = subject.against or (Against.BOTH if both else Against.MODEL)
    references = (Against.MODEL, Against.IMAGE) if against is Against.BOTH else (against,)
    return _run_all([replace(subject, against=one) for one in references], selection, jobs, executor)


def _run_all(
    subjects: Sequence[Subject], selection: Selection, jobs: int | None, executor: str | None
) -> Iterator[tuple[CaseRunner[Any], KernelComparison[Any]]]:
    """Yield the comparer and the result of each subject, all by the same processes."""
    prepared = prepare(subjects[0], selection)
    with executor_of(len(prepared.scenarios), jobs, executor, SCENARIOS_EACH) as pool:
        yield prepared.comparer, prepared.run(pool)
        for subject in subjects[1:]:
            prepared = prepare(subject, selection)
            yield prepared.comparer, prepared.run(pool)
