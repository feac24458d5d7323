"""Live entries are replaced only as the architecture's rule allows.

Where an architecture allows a live entry to be replaced only after it was made invalid and flushed, or only by its own
instructions, no valid entry is replaced by a valid one that maps another frame. A leaf may become a table that maps the
same where the description says so, and an entry whose accessed flag is clear may be replaced where the description says
that no TLB holds it. This is always a declared finding: the rule is part of the description.
"""

from __future__ import annotations

import numpy as np

from hvolab.arch import EntryKind, LiveEntryRule
from hvolab.invariants.invariant import Handlers, Invariant, Report
from hvolab.machine import Machine
from hvolab.trace import EntriesStored


def _history(machine: Machine, report: Report) -> Handlers:
    target = machine.target
    entries, traits, describe = target.mode.format, target.traits, target.describe

    def stored(event: EntriesStored) -> None:
        """Report a replacement of a valid entry by a valid one that maps another frame."""
        level, before, after = event.level, event.before, event.after
        if not event.live:
            return
        if traits.live_size_change and entries.classify(level, int(after[0])) is EntryKind.TABLE:
            return
        form = entries.form(level, EntryKind.LEAF)
        wrong = entries.is_valid(level, before) & entries.is_valid(level, after)
        wrong &= form.get_address(before) != form.get_address(after)
        if traits.uncached_without_accessed and target.mmu.accessed is not None:
            wrong &= target.mmu.accessed.accepts(before)
        if np.any(wrong):
            first = int(np.flatnonzero(wrong)[0])
            report(
                f"a live entry was replaced by a plain store: {traits.live_entries.value}",
                f"VA {event.va + first * target.mode.page_size:#x}, "
                f"{describe(level, int(before[first]))} -> {describe(level, int(after[first]))}",
                declared=True,
            )

    return {} if traits.live_entries is LiveEntryRule.FREE else {EntriesStored: stored}


INVARIANT = Invariant(12, "live_entries", __doc__, history=_history)
