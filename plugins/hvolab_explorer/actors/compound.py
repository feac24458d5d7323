# SPDX-License-Identifier: GPL-2.0-only
"""Reads of struct pages that kernel code makes without a reference or lock.

Kernel: _compound_head(), page_fixed_fake_head(), page_is_fake_head() in include/linux/page-flags.h, v6.12. Where the
static key does not count optimized folios, as in v7.2, tails are no copies of the head, and nothing is looked for.
"""

from __future__ import annotations

from hvolab.errors import UsageError
from hvolab_explorer.world.world import World

_TAIL = 1


def has_fake_heads(world: World) -> bool:
    """Return whether tails can be copies of the head, which readers recognize by the static key."""
    return world.machine.target.release.variant.counts_folios


def require_fake_heads(world: World) -> None:
    """Raise UsageError for an actor that depends on fake heads where the release has none."""
    if not has_fake_heads(world):
        raise UsageError(
            f"release {world.machine.target.release} has no fake heads",
            rule="page_fixed_fake_head() in include/linux/page-flags.h, up to v7.0",
            hint="choose --release 6.12, or another actor, as taker",
        )


def fixed_fake_head(world: World, cpu: int, page: int) -> int:
    """Return the head of which ``page`` is an alias, else ``page``. Kernel: page_fixed_fake_head(), v6.12."""
    layout, load = world.machine.struct_pages.layout, world.cpus[cpu].load_word
    if not has_fake_heads(world) or not world.machine.key_enabled() or page % world.machine.target.mode.page_size:
        return page
    if load(page + layout.flags) >> layout.pg_head & 1:
        link = load(page + layout.size + layout.compound_head)
        if link & _TAIL:
            return layout.head_from_link(page, link)
    return page


def find_head(world: World, cpu: int, page: int) -> int:
    """Find the head of the compound page that ``page`` belongs to. Kernel: compound_head(), v6.12, v7.2."""
    layout = world.machine.struct_pages.layout
    link = world.cpus[cpu].load_word(page + layout.compound_head)
    return layout.head_from_link(page, link) if link & _TAIL else fixed_fake_head(world, cpu, page)
