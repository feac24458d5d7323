# SPDX-License-Identifier: GPL-2.0-only
"""Free lists and counters of a pool, as several CPUs see them."""

from __future__ import annotations

from hvolab.hugetlb import Pool, hstates
from hvolab.hvo import Hvo
from hvolab.machine import MachineSpec, build_machine
from hvolab.machine.checkpoint import Checkpoint
from tests.machines import MIB, x86_64


def _pool() -> Pool:
    machine = build_machine(x86_64(), MachineSpec(memory=128 * MIB, cpus=2))
    return Pool(machine, hstates(machine)[0], Hvo(machine))


def test_another_cpu_sees_the_same_pool() -> None:
    pool = _pool()
    cpu = pool.machine.cpus[1]
    other = pool.on(cpu, Hvo(pool.machine, cpu))
    other.set_max_huge_pages(2)
    assert (pool.h.nr, pool.live) == (2, set(pool.free_folios()))
    assert set(other.work_lists).isdisjoint(pool.work_lists)
    pool.set_max_huge_pages(1)
    assert len(other.live) == len(list(other.free_folios())) == 1


def test_a_checkpoint_with_a_pool_restores_its_counters_and_folios() -> None:
    pool = _pool()
    pool.set_max_huge_pages(1)
    checkpoint, live = Checkpoint(pool.machine, pool), set(pool.live)
    for count in (3, 0):
        pool.set_max_huge_pages(count)
        checkpoint.restore()
        assert (pool.h.nr, pool.h.nr_node, pool.live, set(pool.free_folios())) == (1, [1], live, live)


def test_a_pool_works_with_the_cpu_that_it_is_given() -> None:
    first = _pool()
    machine = first.machine
    cpu = machine.cpus[1]
    other = Pool(machine, first.h, Hvo(machine, cpu), cpu)
    view = first.on(cpu, other.hvo)
    assert (first.cpu, first.folio.cpu) == (machine.cpus[0], machine.cpus[0])
    for one in (other, view):
        assert (one.cpu, one.folio.cpu, one.hvo) == (cpu, cpu, other.hvo)
