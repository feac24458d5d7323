# SPDX-License-Identifier: GPL-2.0-only
"""Rate at which a kernel's own code optimizes folios, on hvolab's machine and on bare unicorn, in turn.

usage: python -m benchmarks.kernel_folios IMAGE [--rounds N]     prints figures, one line of JSON

A list of 256 folios of 2 MiB is optimized by hugetlb_vmemmap_optimize_folios() on both, and restored, which is not
timed. Their PMDs are split already, so each folio needs a new page for its head, and frees eight.
"""

from __future__ import annotations

import argparse
import json
import time

from benchmarks.kernel_bare import BareKernel
from hvolab.hugetlb import Hstate, Pool, hstates
from hvolab.hvo import Hvo
from hvolab.machine import Machine, MachineSpec, build_machine
from hvolab.machine.struct_pages import lists
from hvolab_kernel.comparison import target_of
from hvolab_kernel.identify.release import release_of
from hvolab_kernel.running import KernelHvo
from hvolab_vmlinux.kernel import Kernel
from hvolab_vmlinux.open import open_kernel

_FOLIOS, _SIZE, _MEMORY = 256, 2 << 20, 1 << 30


def _hstate(machine: Machine) -> Hstate:
    return next(h for h in hstates(machine) if h.size == _SIZE)


class _Batch:
    """A machine with a pool, and a list of all folios of it."""

    def __init__(self, machine: Machine, pool: Pool) -> None:
        self._machine, self.pool, cpu = machine, pool, machine.cpus[0]
        pool.set_max_huge_pages(_FOLIOS)
        self.head, self.other = (machine.kernel_data(lists.SIZE) for _ in range(2))
        for va in (self.head, self.other):
            lists.init(cpu, va)
        for folio in sorted(pool.live):
            lists.move(cpu, folio + machine.struct_pages.layout.lru_next, self.head)

    def optimized(self, folio: int) -> bool:
        """Return the flag of a folio as memory has it: bare unicorn does not flush the TLBs of the machine's CPUs."""
        pages = self._machine.struct_pages
        return bool(pages.word(pages.pfn(folio), pages.layout.private) >> pages.layout.hpg_vmemmap_optimized & 1)


class Ours(_Batch):
    """By hvolab."""

    def __init__(self, kernel: Kernel) -> None:
        machine = build_machine(target_of(kernel), MachineSpec(memory=_MEMORY))
        self._hvo = KernelHvo(machine, kernel)
        super().__init__(machine, Pool(machine, _hstate(machine), self._hvo))

    def restore(self) -> None:
        """Restore all; they are on the other list then."""
        self._hvo.restore_folios(self.pool.h, self.head, self.other)

    def optimize(self) -> None:
        """Optimize them again."""
        self._hvo.optimize_folios(self.pool.h, self.other)
        self.head, self.other = self.other, self.head


class Bare(_Batch):
    """By bare unicorn, from a state that the engine made."""

    def __init__(self, kernel: Kernel) -> None:
        machine = build_machine(target_of(kernel), MachineSpec(memory=_MEMORY))
        hvo = Hvo(machine, release=release_of(kernel))
        super().__init__(machine, Pool(machine, _hstate(machine), hvo))
        self._bare = BareKernel(machine, kernel, 16 * _FOLIOS)
        self._hstate = self._bare.loaded.data.va
        self._bare.loaded.write(self._hstate + kernel.types.offset("hstate", "order"), 4, self.pool.h.order)

    def restore(self) -> None:
        """Restore all."""
        self._bare.call("hugetlb_vmemmap_restore_folios", self._hstate, self.head, self.other)

    def optimize(self) -> None:
        """Optimize them again."""
        self._bare.call("hugetlb_vmemmap_optimize_folios", self._hstate, self.other)
        self.head, self.other = self.other, self.head


def _rate(batch: Ours | Bare) -> float:
    """Folios a second of CPU time."""
    batch.restore()
    assert not any(map(batch.optimized, batch.pool.live))  # noqa: S101 - or nothing would be measured
    begun = time.process_time()
    batch.optimize()
    taken = time.process_time() - begun
    assert all(map(batch.optimized, batch.pool.live))  # noqa: S101 - likewise
    return _FOLIOS / taken


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="folios a second")
    parser.add_argument("image")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    kernel = open_kernel(options.image)
    ours, bare = Ours(kernel), Bare(kernel)
    for batch in (ours, bare):
        _rate(batch)  # code is translated in the first round
    rounds = [(_rate(ours), _rate(bare)) for _ in range(options.rounds)]
    print(json.dumps({"ours": [one for one, _ in rounds], "bare": [other for _, other in rounds]}))


if __name__ == "__main__":
    main()
