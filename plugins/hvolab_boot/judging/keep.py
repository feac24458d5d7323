# SPDX-License-Identifier: GPL-2.0-only
"""Cores that a boot leaves in a folder: of each stage what HVO uses of the pools, in kilobytes, and the report."""

from __future__ import annotations

import json
import lzma
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from hvolab.files import write_bytes, write_text
from hvolab.serialize import as_data
from hvolab_boot.cores.cut import cut
from hvolab_boot.judging.checks import ReadStage
from hvolab_boot.judging.result import BootReport
from hvolab_vmcore.core.memory import Ints
from hvolab_vmcore.scan.scan import Scan

#: The report, next to the cores.
REPORT: Final = "capture.json"
#: vmemmap pages that are kept of each huge page that is still to come: nothing has happened to it.
_BEFORE: Final = 64


def keep(folder: Path, report: BootReport, stages: Sequence[ReadStage]) -> BootReport:
    """Write the core of each stage and the report to a folder; returns the report, with the names of the files.

    A core has the page tables of the vmemmap, the frames behind the vmemmap of huge pages of any stage, and VMCOREINFO;
    of huge pages that are still to come, the first frames. Raises UsageError where a file cannot be written.
    """
    files = [""] * len(stages)
    for place, (scan, numbers) in enumerate(_kept(stages)):
        if scan is not None:
            files[place] = f"{place}-{re.sub(r'[^0-9A-Za-z]+', '-', stages[place].stage.name)}.core.xz"
            write_bytes(folder / files[place], lzma.compress(cut(scan, numbers)))
    named = (replace(one, file=file) for one, file in zip(report.stages, files, strict=True))
    kept = replace(report, stages=tuple(named))
    # a capture says nothing of the computer that made it
    image = Path(kept.image)
    portable = replace(kept, image=image.name, qemu=kept.qemu.replace(str(image), image.name))
    write_text(folder / REPORT, json.dumps(as_data(portable), indent=1) + "\n")
    return kept


def _kept(stages: Sequence[ReadStage]) -> Iterator[tuple[Scan | None, Ints]]:
    """Yield the scan of each stage, and the numbers of the vmemmap pages whose frames are kept."""
    scans = [one.scan for one in stages]
    whole = [_numbers(scan) for scan in scans]
    first = [_numbers(scan, _BEFORE) for scan in scans]
    for place, scan in enumerate(scans):
        yield scan, np.unique(np.concatenate([*whole[: place + 1], *first[place + 1 :]]))


def _numbers(scan: Scan | None, most: int | None = None) -> Ints:
    """Return the numbers of the vmemmap pages of the huge pages that a core has, of each at most so many."""
    rows = [(huge.rows[:, None] + np.arange(huge.pages)[:most]).ravel() for huge in (scan.huge_pages if scan else ())]
    return scan.pages.numbers[np.concatenate(rows)] if scan and rows else np.empty(0, dtype=np.int64)
