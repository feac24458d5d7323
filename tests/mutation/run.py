# SPDX-License-Identifier: GPL-2.0-only
"""Runner of mutants: each in a process of its own, forked from one that has loaded the machine and no engine."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import multiprocessing
import resource
import signal
import sys
import time
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import pytest  # loaded once, before the processes are forked; the tests of traces need it

import hvolab.machine
from hvolab.plugin import registry
from tests.mutation.mutants import CORE, Mutant, modules

#: Seconds of CPU time that a scenario may take, of which it takes a tenth: a loop that goes on is stopped.
PATIENCE = 3.0
#: Times as much that the tests of a package may take.
_TESTS = 40
#: Seconds that a mutant may take, on a machine that does much besides.
_LIMIT = 600.0
#: Bytes of address space of a mutant's process: one that allocates for ever ends.
_SPACE = 8 << 30
#: The same while tests run, whose machines are larger, and many until the garbage collector comes.
_SPACE_OF_TESTS = 1 << 40
_FORK = multiprocessing.get_context("fork")
#: Kernels' traces to which a mutant is held that nothing else detects, and one run in so many.
_TRACES = {"x86_64-6.12": 29, "x86_64-7.2.13": 61, "x86_64-6.1": 19}

__all__ = ["Verdict", "baseline", "run", "verdicts"]


class EndlessLoopError(Exception):
    """A scenario takes a multiple of its time."""


@dataclass(frozen=True)
class Verdict:
    """Result of a mutant.

    by   `rules`, `comparison`, `tests`, `nothing`, or `does not load`
    how  the first finding or difference, with its scenario
    """

    by: str
    how: str = ""


class _Mutated(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finder of one module, which it loads with its change."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant
        self._name = f"hvolab.{mutant.module.removesuffix('.py').replace('/', '.')}"

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        del path, target
        return importlib.machinery.ModuleSpec(name, self) if name == self._name else None

    def exec_module(self, module: ModuleType) -> None:
        code = compile(self._mutant.changed(), str(Path("/") / self._mutant.module), "exec")
        exec(code, vars(module))


@dataclass(frozen=True)
class Expected:
    """Result of a scenario with the unchanged engine: its digest, seconds, and the lines that it runs, by module.

    pools  it is for mutants of pools alone, and runs nothing of the engine that others do not
    """

    pools: bool
    digest: int
    seconds: float
    lines: Mapping[str, frozenset[int]]

    def runs(self, mutant: Mutant) -> bool:
        """Return whether it runs the statement of a mutant."""
        if self.pools and not mutant.module.startswith("hugetlb/"):
            return False
        return not mutant.lines or not self.lines.get(mutant.module, frozenset()).isdisjoint(mutant.lines)


Baseline = Mapping[str, Expected]


def verdict(mutant: Mutant, expected: Baseline) -> Verdict:
    """Run a mutant in this process, which has not loaded the engine yet."""
    assert "hvolab.hvo" not in sys.modules, "the engine is loaded already"
    sys.meta_path.insert(0, _Mutated(mutant))
    try:
        from tests.mutation.scenarios import SCENARIOS  # noqa: PLC0415 - loads the engine with its change
    except Exception as error:  # noqa: BLE001 - whatever the change does
        return Verdict("does not load", f"{type(error).__name__}: {error}")
    different = ""
    names = [name for name in expected if expected[name].runs(mutant)]
    signal.signal(signal.SIGPROF, _endless)
    names.sort(key=lambda one: (not one.endswith("base"), expected[one].seconds))
    for name in names:
        signal.setitimer(signal.ITIMER_PROF, PATIENCE)
        try:
            outcome = SCENARIOS[name]()
        except Exception as error:  # noqa: BLE001 - whatever the change does
            what = f"{type(error).__name__}: {error}".splitlines()[0]
            return Verdict("rules", f"{name}: stopped: {what}")
        if outcome.findings:
            return Verdict("rules", f"{name}: {outcome.findings[0]}")
        if outcome.digest != expected[name].digest and not different:
            different = name
    signal.setitimer(signal.ITIMER_PROF, 0)
    if different:
        return Verdict("comparison", different)
    return _traces(names) if mutant.module.startswith("hvo/") else _tests(mutant, names)


def _endless(*_: object) -> None:
    raise EndlessLoopError


def _traces(names: list[str]) -> Verdict:
    """Hold a mutant that nothing has detected to kernels' traces."""
    from tests.core.hvo import test_kernel_traces  # noqa: PLC0415 - loads the engine

    for name, every in _TRACES.items() if names else ():
        try:
            departures = test_kernel_traces.departures_of(name, every=every)
        except Exception as error:  # noqa: BLE001 - whatever the change does
            departures = [f"{type(error).__name__}: {error}"]
        if departures:
            return Verdict("comparison", f"trace {name}")
    return Verdict("nothing", "" if names else "no scenario runs it")


def _tests(mutant: Mutant, names: list[str]) -> Verdict:
    """Hold a mutant that nothing has detected to the tests of its module, then to those of its package."""
    failed = _failed(mutant.module)
    return Verdict("tests", failed) if failed else Verdict("nothing", "" if names else "no scenario runs it")


def _failed(module: str) -> str:
    """Run the tests of a module and of its package; return the first file or folder with one that fails."""
    package, _, name = module.partition("/")
    folder = f"tests/core/{package}"
    resource.setrlimit(resource.RLIMIT_AS, (_SPACE_OF_TESTS, _SPACE_OF_TESTS))
    for path, which in (f"{folder}/test_{name}", "not long"), (folder, "not slow"):
        signal.setitimer(signal.ITIMER_PROF, _TESTS * PATIENCE)
        options = ["-qx", "-m", which, "-p", "no:cacheprovider", "-o", "addopts=--import-mode=importlib"]
        if pytest.main([*options, path]) in {pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED}:
            return path
    return ""


def baseline(only: Container[str] | None = None) -> Baseline:
    """Return the results of the scenarios with the unchanged engine, in which no rule finds anything.

    only  names of scenarios; None: all
    """
    registry().architectures()
    receiver, sender = _FORK.Pipe(duplex=False)
    process = _FORK.Process(target=_baseline, args=(only, sender))
    process.start()
    sender.close()
    results: Baseline = receiver.recv()
    process.join()
    return results


def _baseline(only: Container[str] | None, sender: Connection) -> None:
    from tests.mutation.scenarios import POOLS_ALONE, SCENARIOS  # noqa: PLC0415 - in a process of its own

    results = {}
    for name, scenario in SCENARIOS.items():
        if only is not None and name not in only:
            continue
        before = time.monotonic()
        outcome = scenario()
        seconds = time.monotonic() - before
        assert not outcome.findings, f"findings without a mutant, {name}: {outcome.findings}"
        with _lines() as lines:
            scenario()
        results[name] = Expected(
            name in POOLS_ALONE, outcome.digest, seconds, {module: frozenset(one) for module, one in lines.items()}
        )
    if only is None:
        failed = [path for module in modules() if module.startswith("hugetlb/") and (path := _failed(module))]
        assert not failed, f"tests that fail without a mutant: {failed}"
    sender.send(results)


@contextmanager
def _lines() -> Iterator[dict[str, set[int]]]:
    """Collect the lines of the engine and pools that run in the ``with`` block, by module."""
    found: dict[str, set[int]] = {}
    names = {str(CORE / module): module for module in modules()}

    def local(frame: FrameType, event: str, arg: object) -> Any:
        del event, arg
        found.setdefault(names[frame.f_code.co_filename], set()).add(frame.f_lineno)
        return local

    sys.settrace(lambda frame, *_: local if frame.f_code.co_filename in names else None)
    try:
        yield found
    finally:
        sys.settrace(None)


def _work(mutant: Mutant, expected: Baseline, sender: Connection) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_SPACE, _SPACE_OF_TESTS))
    sys.stdout = sys.stderr = open("/dev/null", "w")  # noqa: SIM115, PTH123 - for the life of the process
    sender.send(verdict(mutant, expected))


def verdicts(mutants: Iterable[Mutant], expected: Baseline, workers: int = 1) -> Iterator[tuple[Mutant, Verdict]]:
    """Yield mutants with their verdicts, as they end."""
    running: dict[Connection, tuple[Mutant, ForkProcess, float]] = {}
    queue = iter(mutants)
    while True:
        while len(running) < workers and (mutant := next(queue, None)) is not None:
            receiver, sender = _FORK.Pipe(duplex=False)
            process = _FORK.Process(target=_work, args=(mutant, expected, sender))
            process.start()
            sender.close()
            running[receiver] = mutant, process, time.monotonic()
        if not running:
            return
        ready = wait(list(running), timeout=1)
        for receiver, (mutant, process, since) in list(running.items()):
            if receiver in ready:
                try:
                    result = receiver.recv()
                except EOFError:
                    result = Verdict("rules", "stopped: the process ended")
            elif time.monotonic() - since > _LIMIT:
                process.kill()
                result = Verdict("nothing", "does not end")
            else:
                continue
            process.join()
            del running[receiver]
            yield mutant, result


def run(
    mutants: Iterable[Mutant], workers: int = 1, only: Container[str] | None = None
) -> Iterator[tuple[Mutant, Verdict]]:
    """Run mutants against a baseline made now, in all scenarios or only in those of these names."""
    yield from verdicts(mutants, baseline(only), workers)


_ = pytest, hvolab.machine
