# SPDX-License-Identifier: GPL-2.0-only
"""pytest fixtures for tests of instruction sequences, pools and machines, of any architecture.

pytest loads them by `-p hvolab.conformance.fixtures` or by `pytest_plugins`, of a conftest or of one module of tests;
other runs are without them. A test that uses one of them runs once for each architecture of its marker `arch`, without
the marker for each that a plugin describes. A module that defines `architecture` or `target` itself has its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from hvolab.arch import Architecture, Target
from hvolab.conformance import pytest_plugin
from hvolab.conformance.capabilities import EMULATED_CPU
from hvolab.conformance.check import make
from hvolab.conformance.checks import CHECKS
from hvolab.conformance.checks.machines import emulated_cpu as emulated_cpu_of
from hvolab.conformance.checks.machines import small_spec
from hvolab.conformance.queries import optimizable_sizes
from hvolab.conformance.subject import Scope, Subject
from hvolab.conformance.suite import end_test
from hvolab.errors import UsageError, choice_hint, close_names
from hvolab.hugetlb import Pool, hstates
from hvolab.hvo import Hvo
from hvolab.machine import Machine, StepCpu, build_machine
from hvolab.plugin import registry

_NAME = "hvolab_architecture_name"
#: Huge pages that the machine of a test has memory for.
_HUGE_PAGES = 4


def pytest_addoption(pluginmanager: pytest.PytestPluginManager) -> None:
    """Load the plugin that has the option and the marker."""
    if not pluginmanager.has_plugin(pytest_plugin.__name__):
        pluginmanager.register(pytest_plugin, pytest_plugin.__name__)


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers", "sequence(step, text=..., code=...): another instruction sequence for a step of emulated CPUs"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test for each architecture."""
    if _NAME not in metafunc.fixturenames:
        return
    marked = [name for mark in metafunc.definition.iter_markers("arch") for name in mark.args]
    try:
        names = [registry().architecture(name).name for name in marked or sorted(registry().architectures())]
    except UsageError as error:
        pytest.fail(f"marker arch of {metafunc.definition.nodeid}: {error}", pytrace=False)
    chosen = pytest_plugin.selected(metafunc.config)
    names = [name for name in names if chosen is None or name in chosen] or names  # the option deselects a test of none
    metafunc.parametrize(_NAME, [pytest.param(name, marks=pytest.mark.arch(name)) for name in names])


@pytest.fixture
def architecture(hvolab_architecture_name: str, request: pytest.FixtureRequest) -> Architecture:
    """Return the description of an architecture, with the sequences of the test's markers `sequence`."""
    described = registry().architecture(hvolab_architecture_name)
    for mark in request.node.iter_markers("sequence"):
        described = _with_sequence(described, *mark.args, **mark.kwargs)
    return described


def _with_sequence(described: Architecture, step: str, **changes: Any) -> Architecture:
    """Return the description with other fields of one sequence; raises UsageError if it has none for that step."""
    part = described.emulation
    own = None if part is None else part.sequence(step)
    if part is None or own is None:
        known = [] if part is None else [sequence.step for sequence in part.sequences]
        hint = choice_hint(step, known, "another architecture")
        raise UsageError(f"{described.name} has no sequence for the step {step!r}", hint=hint)
    changed = replace(own, **changes)
    part = replace(part, sequences=tuple(changed if each is own else each for each in part.sequences))
    part.check()
    return replace(described, emulation=part)


@pytest.fixture
def target(architecture: Architecture) -> Target:
    """Return the default mode, profile and release of the architecture."""
    return architecture.select()


@pytest.fixture
def machine(target: Target, request: pytest.FixtureRequest) -> Machine:
    """Return a machine with memory for a few huge pages; its CPU is emulated if the test uses `emulated_cpu` too.

    Skips the test if the target cannot be emulated.
    """
    sizes = optimizable_sizes(target)
    made = build_machine(target, small_spec(target, {sizes[0]: _HUGE_PAGES} if sizes else None))
    if "emulated_cpu" in request.fixturenames:
        if reason := EMULATED_CPU.missing(Subject(target.architecture, target.mode.name)):
            pytest.skip(f"needs {EMULATED_CPU.name}: {reason}; hint: {EMULATED_CPU.hint}")
        made.cpus[:] = [emulated_cpu_of(target.architecture, made)[0]]
    return made


@pytest.fixture
def emulated_cpu(machine: Machine) -> StepCpu:
    """Return the CPU of the machine, which executes the architecture's own instructions."""
    (cpu,) = machine.cpus
    if not isinstance(cpu, StepCpu):
        raise UsageError("the machine was made without an emulated CPU", hint="name emulated_cpu among the arguments")
    return cpu


@pytest.fixture
def pool(machine: Machine) -> Pool:
    """Return an empty pool of the smallest huge pages of the machine that can be optimized."""
    hvo = Hvo(machine)
    smallest = [h for h in hstates(machine) if hvo.sizes(h).optimizable][:1]
    if not smallest:
        pytest.skip(f"no huge page of {machine.target} can be optimized; hint: choose another mode")
    return Pool(machine, smallest[0], hvo)


@pytest.fixture
def conforms(target: Target) -> Callable[[str], None]:
    """Return a function that makes a check of the kit, by its name, and fails or skips the test with its reason."""
    return partial(_conforms, target)


def _conforms(target: Target, name: str) -> None:
    check = next((check for check in CHECKS if check.name == name), None)
    if check is None:
        near = close_names(name, [check.name for check in CHECKS])
        raise UsageError(
            f"the kit has no check {name!r}",
            hint=f"did you mean {near[0]!r}?" if near else "list them: hvolab conformance --list",
        )
    mode = "" if check.scope is Scope.ARCHITECTURE else target.mode.name
    end_test(make(check, Subject(target.architecture, mode)))
