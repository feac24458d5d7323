# SPDX-License-Identifier: GPL-2.0-only
"""Reads of struct pages that kernel code makes without a reference or lock.

Kernel: _compound_head(), page_fixed_fake_head(), page_is_fake_head() in include/linux/page-flags.h, v6.12.
"""

from __future__ import annotations

from hvolab.errors import UsageError
from hvolab_explorer.world.world import World

_TAIL = 1


def require_fake_heads(world: World) -> None:
    """Raise UsageError where tails are no copies of the head that readers recognize by the static key."""
    release = world.machine.target.release
    if not release.variant.counts_folios:
        raise UsageError(
            f"release {release} has no fake heads",
            rule="page_fixed_fake_head() in include/linux/page-flags.h, up to v7.1",
            hint="choose --release 6.12, or leave out takers and scanners",
        )


def fixed_fake_head(world: World, cpu: int, page: int) -> int:
    """Return the head of which ``page`` is an alias, else ``page``. Kernel: page_fixed_fake_head(), v6.12."""
    layout, load = world.machine.struct_pages.layout, world.cpus[cpu].load_word
    if not world.machine.key_enabled() or page % world.machine.target.mode.page_size:
        return page
    if load(page + layout.flags) >> layout.pg_head & 1:
        link = load(page + layout.size + layout.compound_head)
        if link & _TAIL:
            return link - _TAIL
    return page


def find_head(world: World, cpu: int, page: int) -> int:
    """Find the head of the compound page that ``page`` belongs to. Kernel: compound_head(), v6.12."""
    link = world.cpus[cpu].load_word(page + world.machine.struct_pages.layout.compound_head)
    return link - _TAIL if link & _TAIL else fixed_fake_head(world, cpu, page)
