# SPDX-License-Identifier: GPL-2.0-only
"""A scanner of PFNs, which holds no reference: it wants the head of each struct page.

Kernel: compound_head() as called by kpageflags_read() in fs/proc/page.c and by compaction, v6.12 and v7.2. The folios
of a world stay compound, so the result is the folio's head; or the struct page itself, if the folio is restored
meanwhile, which callers of page_folio() without a reference must expect. Anything else is a finding.
Left out: flags other than PG_head; what compaction does next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hvolab_explorer.actors.compound import find_head
from hvolab_explorer.actors.kind import ActorKind, Place
from hvolab_explorer.world.world import World


def _make(world: World, cpu: int, places: Sequence[Place]) -> Callable[[], object]:
    wanted = [(place, place.va(world), world.folios[place.folio]) for place in places]

    def body() -> None:
        for place, page, folio in wanted:
            found = find_head(world, cpu, page)
            if found not in {folio, page}:
                world.scheduler.report(f"compound_head() of {place} is {found:#x}, not {place.head}")

    return body


SCANNER = ActorKind(
    "scanner", "PAGE...", "compound_head() of struct pages, as kpageflags and compaction", _make, reads=True
)
