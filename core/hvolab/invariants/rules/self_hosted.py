"""Frames of self-hosted vmemmap are never freed.

With memory hotplug and `memmap_on_memory`, the vmemmap of a block of memory is inside that block. HVO returns
`-ENOTSUPP` for a folio with such vmemmap, and its frames stay behind it.
"""

from __future__ import annotations

import numpy as np

from hvolab.invariants.invariant import Invariant, Report
from hvolab.invariants.survey import Survey
from hvolab.machine import FrameAllocator
from hvolab.machine.frames.source import Owner


def _state(survey: Survey, report: Report) -> None:
    machine = survey.machine
    if not machine.self_hosted:
        return
    pfns = np.concatenate([np.arange(start, stop, dtype=np.int64) for start, stop in machine.self_hosted])
    gone = ~np.isin(pfns, survey.backing)
    if isinstance(machine.frames, FrameAllocator):
        gone |= machine.frames.owner(pfns) == Owner.FREE
    if gone.any():
        report(f"{int(gone.sum())} frames of self-hosted vmemmap no longer back it", f"PFN {int(pfns[gone][0]):#x}")


INVARIANT = Invariant(9, "self_hosted", __doc__, state=_state)
