# SPDX-License-Identifier: GPL-2.0-only
"""Known faults of kernel releases, by the findings that they explain."""

from __future__ import annotations

from hvolab.machine import Machine
from hvolab.release.releases import RESTORED_AS_HEADS


def restored_as_heads(machine: Machine) -> tuple[int, str]:
    """Return how many struct pages of each restored page of vmemmap the release's code makes wrong, and its fault.

    Restored tails are copies of the head's page, and the struct pages that hugetlb uses are not reset: 0 and an empty
    fault where the release's code does not do so.
    """
    if RESTORED_AS_HEADS not in machine.target.release.faults:
        return 0, ""
    return machine.struct_pages.layout.used_subpages, RESTORED_AS_HEADS
