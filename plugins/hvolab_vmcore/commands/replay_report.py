# SPDX-License-Identifier: GPL-2.0-only
"""A replay as plain data: the JSON of `hvolab replay`, whose keys are stable."""

from __future__ import annotations

from dataclasses import dataclass

from hvolab.serialize import Hex
from hvolab_vmcore.commands.report_data import ReleaseData, release_data
from hvolab_vmcore.replay.comparison import Omission, ReplayDifference
from hvolab_vmcore.replay.replay import Replay, Verdict


@dataclass(frozen=True)
class FolioData:
    """A folio, its order and size in bytes, and what the kernel did with it: `restored`, `optimized` or both."""

    pfn: Hex
    order: int
    size: int
    action: str


@dataclass(frozen=True)
class ReplayReport:
    """Result of `hvolab replay`.

    kernel                 release of the kernel, as the cores have it
    release                kernel release that the cores show
    release_choice         why it was chosen
    engine_release         kernel release of the engine
    folios                 the operations
    entries_compared       number of entries of all levels that either side uses
    struct_pages_compared  number of struct pages, each counted once for every VA that maps it
    differences            the first differences
    differences_found      number of all differences
    left_out               what was not compared
    not_saved              parts of the two cores that decide what is compared and were not saved
    """

    architecture: str
    mode: str
    features: tuple[str, ...]
    kernel: str
    release: str
    release_choice: ReleaseData
    engine_release: str
    folios: tuple[FolioData, ...]
    entries_compared: int
    struct_pages_compared: int
    differences: tuple[ReplayDifference, ...]
    differences_found: int
    left_out: tuple[Omission, ...]
    verdict: Verdict
    not_saved: tuple[str, ...]


def report_of(found: Replay) -> ReplayReport:
    """Return a replay for JSON."""
    snapshot = found.scan.snapshot
    target, page_size = snapshot.target, snapshot.target.mode.page_size
    return ReplayReport(
        architecture=target.architecture.name,
        mode=target.mode.name,
        features=target.features,
        kernel=snapshot.kernel,
        release=found.choice.release.name,
        release_choice=release_data(found.choice),
        engine_release=found.release.name,
        folios=tuple(
            FolioData(pfn, order, page_size << order, action)
            for action, folios in found.plan.steps
            for pfn, order in folios
        ),
        entries_compared=found.entries_compared,
        struct_pages_compared=found.struct_pages_compared,
        differences=found.differences,
        differences_found=found.differences_found,
        left_out=found.left_out,
        verdict=found.verdict,
        not_saved=found.unsaved,
    )
