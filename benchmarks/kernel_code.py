"""How fast a kernel's own code optimises folios, beside the same code with answers that do nothing for the machine.

`python -m benchmarks.kernel_code IMAGE` prints folios a second of CPU time, both in turn, and the ratio.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator

from hvolab.hugetlb import Pool, hstates
from hvolab.hugetlb.hstate import size_to_hstate
from hvolab.machine import MachineSpec, build_machine, lists
from hvolab_kernel.comparison import target_of
from hvolab_kernel.opening import open_kernel
from hvolab_kernel.running import KernelHvo, answers
from hvolab_kernel.stand_ins import Answer

_FOLIOS, _ROUNDS, _SIZE = 256, 5, 2 << 20


class _Bare:
    """Answers of a fixed kind: frames from a stack of them, nothing else is kept or told."""

    def __init__(self, frames: list[int]) -> None:
        self.frames = frames

    def acts(self) -> dict[Answer, Callable[..., int | None]]:
        """What is done for each answer that HVO asks for in a batch."""
        take, give = self.frames.pop, self.frames.append
        made: dict[Answer, Callable[..., int | None]] = dict.fromkeys(Answer, lambda *_: 0)
        made[Answer.ALLOCATE] = lambda owner, _, *__: owner._page(take())  # noqa: SLF001
        made[Answer.FREE] = lambda owner, _, page, __: give(owner._pfn(page))  # noqa: SLF001
        return made


def _rates(image: str, *, bare: bool) -> Iterator[float]:
    """Folios a second of CPU time, of each round: a list optimised, then restored."""
    kernel = open_kernel(image)
    machine = build_machine(target_of(kernel), MachineSpec(memory=1 << 30))
    ready = KernelHvo(machine, kernel)
    pool = Pool(machine, size_to_hstate(hstates(machine), _SIZE), ready)
    pool.set_max_huge_pages(_FOLIOS)
    hvo = ready
    if bare:
        frames = [pfn for pfn in (machine.alloc_pages(0xCC0, 0) for _ in range(16 * _FOLIOS)) if pfn is not None]
        known = dict(answers.ACTS)
        answers.ACTS.update(_Bare(frames).acts())
        hvo = KernelHvo(machine, kernel)
        answers.ACTS.update(known)
    head, other = pool.new_list(0), machine.kernel_data(lists.SIZE)
    lru = machine.struct_pages.layout.lru_next
    lists.init(machine.cpus[0], other)
    for folio in sorted(pool.live):
        lists.move(machine.cpus[0], folio + lru, head)
    for _ in range(_ROUNDS):
        hvo.restore_folios(pool.h, head, other)
        begun = time.process_time()
        hvo.optimize_folios(pool.h, other)
        yield _FOLIOS / (time.process_time() - begun)
        head, other = other, head


def main() -> None:
    """Measure both, and print the best round of each."""
    image = sys.argv[1]
    full = max(_rates(image, bare=False))
    bare = max(_rates(image, bare=True))
    print(f"optimised by the kernel's own code: {full:.0f} folios/s; answers that do nothing: {bare:.0f} folios/s")
    print(f"ratio: {bare / full:.2f}")


if __name__ == "__main__":
    main()
