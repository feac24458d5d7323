# SPDX-License-Identifier: GPL-2.0-only
"""A state machine over pool operations, failures and sysctl flips: every invariant holds after each step.

A third of the steps is taken on each architecture, a tenth of the machines has room for gigantic pages.
"""

from __future__ import annotations

from typing import ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from hvolab.arch import Target
from hvolab.hugetlb import Pool, demote_pool_huge_page, memory_failure, reservations
from hvolab.invariants import Monitor
from hvolab.machine import MachineSpec, VmemmapBacking
from hvolab.machine.frames.failure import FailFrom, FailurePolicy, NeverFail
from hvolab.plugin import registry
from hvolab.release.faults import FORGOTTEN, FREED_AS_BLOCK
from tests.failures import fail_at_random
from tests.machines import GIB, MIB, Pools, pools

_ARCHITECTURES = ("x86_64", "arm64", "riscv")
#: Examples by whether the machine has room for gigantic pages: a step of those takes several times as long.
_EXAMPLES, _STEPS = {False: 72, True: 8}, 50
_ALL = 10_000
#: One of so many examples is taken outside of long sweeps; there they are the same ones in each run of CI.
_SAMPLE = 4
#: Faults of the release: a poisoned folio can be freed as a block.
_POISONED = (FREED_AS_BLOCK, FORGOTTEN)
steps_taken = 0

_policies: st.SearchStrategy[FailurePolicy] = st.one_of(
    st.builds(NeverFail),
    st.builds(FailFrom, st.integers(1, 40)),
    st.builds(fail_at_random, st.sampled_from([0.05, 0.3, 0.9]), st.integers(0, 1 << 30)),
)


class PoolMachine(RuleBasedStateMachine):
    """One machine with its pools, and somebody who does whatever a user could."""

    target: ClassVar[Target]
    with_gigantic: ClassVar[bool]
    lab: Pools
    monitor: Monitor
    held: list[int]

    @initialize(
        backing=st.sampled_from(VmemmapBacking),
        nodes=st.sampled_from([1, 1, 2]),
        movable=st.booleans(),
    )
    def build(self, backing: VmemmapBacking, nodes: int, movable: bool) -> None:  # noqa: FBT001
        self.lab = pools(
            MachineSpec(
                memory=3 * GIB if self.with_gigantic else 256 * MIB,
                nodes=nodes,
                movable_nodes=frozenset({1} if movable and nodes > 1 else ()),
                cpus=2,
                vmemmap=backing,
                deferred_struct_pages=nodes == 1,
            ),
            self.target,
        )
        by_size = {pool.h.size: pool for pool in self.lab.pools}
        self.small: Pool = by_size[2 * MIB]
        self.gigantic: Pool = by_size[GIB]
        self.of_demoted = next(pool for pool in self.lab.pools if pool.h.order == self.gigantic.h.demote_order)
        self.held = []
        self.monitor = Monitor(self.lab.machine)
        self.lab.machine.trace.listeners.append(self.monitor)

    @rule(count=st.integers(0, 24))
    def resize(self, count: int) -> None:
        self.small.set_max_huge_pages(count)

    @rule(count=st.integers(0, 2))
    def resize_gigantic(self, count: int) -> None:
        self.gigantic.set_max_huge_pages(count)

    @precondition(lambda self: self.small.h.free)
    @rule(choice=st.integers(0, 100))
    def dissolve(self, choice: int) -> None:
        folios = list(self.small.free_folios())
        self.small.dissolve(folios[choice % len(folios)])

    @rule()
    def hand_out(self) -> None:
        folio = self.small.dequeue()
        if folio is not None:
            self.held.append(folio)

    @rule()
    def hand_out_surplus(self) -> None:
        folio = self.small.alloc_surplus()
        if folio is not None:
            self.held.append(folio)

    @rule(count=st.integers(1, 4))
    def reserve(self, count: int) -> None:
        reservations.reserve(self.small, count)

    @precondition(lambda self: self.small.h.resv)
    @rule(count=st.integers(1, 4), fault=st.booleans())
    def use_or_release_reservations(self, count: int, fault: bool) -> None:  # noqa: FBT001
        if not fault:
            reservations.unreserve(self.small, min(count, self.small.h.resv))
        elif (folio := reservations.fault(self.small)) is not None:
            self.held.append(folio)

    @precondition(lambda self: self.small.live)
    @rule(choice=st.integers(0, 100), number=st.integers(0, 511), recorded=st.booleans())
    def poison(self, choice: int, number: int, recorded: bool) -> None:  # noqa: FBT001
        folios = sorted(self.small.live)
        folio = folios[choice % len(folios)]
        memory_failure(self.small, self.lab.machine.struct_pages.pfn(folio) + number, recorded=recorded)
        self.held = [held for held in self.held if held in self.small.live and not self.is_free(held)]

    def is_free(self, folio: int) -> bool:
        return self.small.folio.flag(folio, self.lab.machine.struct_pages.layout.hpg_freed)

    @precondition(lambda self: self.held)
    @rule(choice=st.integers(0, 100))
    def take_back(self, choice: int) -> None:
        self.small.put(self.held.pop(choice % len(self.held)))

    # surplus pages break an invariant when they are demoted, as in the kernel: test_demote has it
    @precondition(lambda self: self.gigantic.h.free and not self.gigantic.h.surplus)
    @rule()
    def demote(self) -> None:
        demote_pool_huge_page(self.gigantic, self.of_demoted, 1)

    @rule(policy=_policies)
    def change_failures(self, policy: FailurePolicy) -> None:
        self.lab.frames.failure = policy

    @rule(enabled=st.booleans())
    def flip_the_sysctl(self, enabled: bool) -> None:  # noqa: FBT001
        self.lab.machine.optimize_enabled = enabled

    @rule(pfn=st.integers(0, (256 << 8) - 1))
    def another_cpu_looks(self, pfn: int) -> None:
        machine = self.lab.machine
        machine.cpus[1].load_word(machine.struct_pages.va(machine.memory.first_pfn + pfn))

    @invariant()
    def everything_holds(self) -> None:
        global steps_taken  # noqa: PLW0603 - counted over all examples
        if not hasattr(self, "lab"):
            return
        steps_taken += 1
        found = (*self.monitor.findings, *self.lab.findings())
        assert not [finding for finding in found if not finding.declared and finding.fault not in _POISONED]
        assert self.small.h.available >= 0


def take_steps(architecture: str, sample: int = 1) -> int:
    """Run the state machine on an architecture, with all examples or one of so many; return the steps taken."""
    global steps_taken  # noqa: PLW0603
    steps_taken = 0
    target = registry().architecture(architecture).select()
    for with_gigantic, examples in _EXAMPLES.items():
        # a class of its own: hypothesis keeps what it knows of a state machine by class
        machine = type("PoolMachine", (PoolMachine,), {"target": target, "with_gigantic": with_gigantic})
        run_state_machine_as_test(
            machine, settings=settings(max_examples=examples // sample, stateful_step_count=_STEPS)
        )
    return steps_taken


@pytest.mark.slow
@pytest.mark.parametrize("architecture", _ARCHITECTURES)
def test_no_invariant_breaks(architecture: str) -> None:
    assert take_steps(architecture, _SAMPLE) >= _ALL // len(_ARCHITECTURES) // _SAMPLE


@pytest.mark.long
@pytest.mark.parametrize("architecture", _ARCHITECTURES)
def test_no_invariant_breaks_in_ten_thousand_steps(architecture: str) -> None:
    assert take_steps(architecture) >= _ALL // len(_ARCHITECTURES)
