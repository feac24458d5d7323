# SPDX-License-Identifier: GPL-2.0-only
"""A speculative reference to a struct page that was looked up earlier.

Kernel: page_ref_add_unless() and page_count_writable() in include/linux/page_ref.h, since v6.14 ("mm/hugetlb_vmemmap:
fix memory loads ordering"): the count is loaded before the test for a fake head. In v6.11 to v6.13 the test came first,
since bd225530a4c7 ("mm/hugetlb_vmemmap: fix race with speculative PFN walkers"); Debian's 6.12.117 has that order too.
page_ref_add_unless_zero(), v7.2, has no test and no read-side critical section, as there are no fake heads. Before
v6.11 page_ref_add_unless() had neither: there the test is that of a caller, as PageTail() in page_idle_get_folio().
Left out: what its callers do with the reference; it is never dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hvolab.release.struct_page import FolioField
from hvolab_explorer.actors.compound import fixed_fake_head, has_fake_heads, require_fake_heads
from hvolab_explorer.actors.kind import ActorKind, Place
from hvolab_explorer.world.world import World

_COUNT_BYTES = 4


def _make(world: World, cpu: int, places: Sequence[Place], *, count_first: bool) -> Callable[[], object]:
    layout = world.machine.struct_pages.layout
    pages = [place.va(world) for place in places]
    field = FolioField(0, layout.refcount, _COUNT_BYTES)
    count = field.place(layout.size, world.machine.target.architecture.byte_order)

    def add_unless_zero(page: int) -> None:
        word = page + count.offset
        seen = world.cpus[cpu].load_word(word)
        while count.get(seen):
            found = world.cpus[cpu].compare_and_swap(word, seen, count.put(seen, count.get(seen) + 1))
            if found == seen:
                return
            seen = found

    def writable(page: int) -> bool:
        if count_first:
            seen = world.cpus[cpu].load_word(page + count.offset)
            world.cpus[cpu].acquire()  # atomic_read_acquire()
            if not count.get(seen):
                return False
        if fixed_fake_head(world, cpu, page) != page:
            return False
        return count_first or bool(count.get(world.cpus[cpu].load_word(page + count.offset)))

    def body() -> None:
        for page in pages:
            if not has_fake_heads(world):
                add_unless_zero(page)
                continue
            with world.machine.locks.rcu_read():
                if writable(page):
                    add_unless_zero(page)

    return body


def _make_since_6_14(world: World, cpu: int, places: Sequence[Place]) -> Callable[[], object]:
    return _make(world, cpu, places, count_first=True)


def _make_of_6_11(world: World, cpu: int, places: Sequence[Place]) -> Callable[[], object]:
    require_fake_heads(world)
    return _make(world, cpu, places, count_first=False)


TAKER = ActorKind(
    "taker",
    "PAGE...",
    "page_ref_add_unless(), as since v6.14, or page_ref_add_unless_zero(), as in v7.2, on struct pages",
    _make_since_6_14,
    reads=True,
)
OLD_TAKER = ActorKind(
    "taker-6.11", "PAGE...", "page_ref_add_unless(), as from v6.11 to v6.13, on struct pages", _make_of_6_11, reads=True
)
