# SPDX-License-Identifier: GPL-2.0-only
"""Every invariant is found; the check and the monitor run those that apply to the variant of HVO."""

from __future__ import annotations

import inspect
from pkgutil import iter_modules

import numpy as np
import pytest

from hvolab.hugetlb import Pool, hstates
from hvolab.hvo import Hvo
from hvolab.invariants import INVARIANTS, Folios, Monitor, check, rules
from hvolab.machine import build_machine
from hvolab.release import RELEASES, KernelRelease
from hvolab.release.releases import V6_1
from tests.core.invariants import mutants
from tests.core.invariants.mutants import SMALL
from tests.machines import pools, x86_64


def test_a_kernel_without_counters_breaks_no_invariant_of_its_own() -> None:
    machine = build_machine(x86_64(release="6.1"), SMALL)
    pool = Pool(machine, hstates(machine)[0], Hvo(machine))
    with Monitor(machine).watch() as monitor:
        pool.set_max_huge_pages(3)
    assert [*check(machine, [pool]), *monitor.findings] == []


def test_the_release_of_the_machine_selects_the_invariants() -> None:
    machine = build_machine(x86_64(), SMALL)
    pool = Pool(machine, hstates(machine)[0], Hvo(machine, release=V6_1))
    pool.set_max_huge_pages(3)
    assert "counters" in {finding.rule for finding in check(machine, [pool])}


def test_folios_outside_of_pools_are_checked_too() -> None:
    lab = pools(SMALL)
    lab.pools[0].set_max_huge_pages(1)
    (folio,) = lab.pools[0].live
    pfn = lab.machine.struct_pages.pfn(folio)
    lab.pools[0].live.clear()
    assert {finding.rule for finding in check(lab.machine)} == {"static_key", "ownership"}
    loose = folio_at(pfn)
    assert check(lab.machine, folios=[loose]) == []
    assert [finding.rule for finding in check(lab.machine, folios=[loose], other_frames=1)] == ["ownership"]


def folio_at(pfn: int) -> Folios:
    """A folio of 2 MiB that is in no pool."""
    return Folios(9, np.array([pfn], dtype=np.int64))


def test_every_module_has_invariants() -> None:
    checks = [invariant.state or invariant.history for invariant in INVARIANTS]
    modules = {check.__module__.rpartition(".")[2] for check in checks if check is not None}
    assert modules == {found.name for found in iter_modules(rules.__path__)}


def test_numbers_and_names_are_unique_and_numbers_ascend() -> None:
    numbers = [invariant.number for invariant in INVARIANTS]
    assert numbers == sorted(set(numbers))
    assert len({invariant.name for invariant in INVARIANTS}) == len(numbers)


def test_each_is_a_state_or_a_history_with_a_sentence_and_details() -> None:
    for invariant in INVARIANTS:
        sentence, _, details = (inspect.getdoc(invariant.state or invariant.history) or "").partition("\n\n")
        assert sentence.endswith("."), invariant.name
        assert details, invariant.name


@pytest.mark.parametrize("release", [release for release in RELEASES if release.anywhere], ids=str)
def test_the_right_engine_breaks_nothing(release: KernelRelease) -> None:
    lab = mutants.pools_of(release)
    monitor = Monitor(lab.machine)
    with monitor.watch():
        for count in (3, 1, 4, 0):
            lab.pools[0].set_max_huge_pages(count)
            assert not lab.findings()
    assert not mutants.broken(monitor.findings)
    assert monitor.events > 100
