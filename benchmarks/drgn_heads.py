# SPDX-License-Identifier: GPL-2.0-only
"""PFNs of the heads of optimized huge pages of 2 MiB, by drgn: `drgn_heads.py WAY JOB`, which prints their number.

A job is JSON of :class:`Job`. It imports nothing of hvolab.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

_PAGE, _STRUCT_PAGE = 4096, 64
#: Base pages of a huge page, and pages of its vmemmap.
_FOLIO, _PAGES = 512, 8
#: Bytes of the head struct page up to the page type, and the places of its flags.
_HEAD_SIZE, _FLAGS, _PRIVATE, _PAGE_TYPE = 52, 0, 40, 51
#: x86_64, 6.12: PG_head, PGTY_hugetlb, and HPG_vmemmap_optimized, each in the byte above.
_PG_HEAD, _HUGETLB, _OPTIMIZED = 1 << 6, 0xF4, 1 << 4


class Job(NamedTuple):
    """A core, its bytes of memory, VA of `swapper_pg_dir`, and VA of the struct page of PFN 0."""

    path: str
    memory: int
    swapper: int
    vmemmap: int


def opened(job: Job) -> Any:
    """Return drgn's program for the core."""
    program = importlib.import_module("drgn").Program()
    program.set_core_dump(job.path)
    return program


def by_entries(program: Any, job: Job) -> list[int]:
    """Return the huge pages whose pages of vmemmap map one frame; the first two decide for most that are not."""
    # what the public helper follow_phys() calls, which needs debugging symbols
    follow = importlib.import_module("_drgn")._linux_helper_follow_phys  # noqa: SLF001
    fault = importlib.import_module("drgn").FaultError
    found = []
    for pfn in range(0, job.memory // _PAGE, _FOLIO):
        va = job.vmemmap + pfn * _STRUCT_PAGE
        try:
            head = follow(program, job.swapper, va)
            if follow(program, job.swapper, va + _PAGE) != head:
                continue
            if all(follow(program, job.swapper, va + page * _PAGE) == head for page in range(2, _PAGES)):
                found.append(pfn)
        except fault:
            continue
    return found


def by_flags(program: Any, job: Job) -> list[int]:
    """Return the huge pages whose head struct page has the flag, read at its VA; no entry is looked at."""
    fault = importlib.import_module("drgn").FaultError
    read, found = program.read, []
    for pfn in range(0, job.memory // _PAGE, _FOLIO):
        try:
            head = read(job.vmemmap + pfn * _STRUCT_PAGE, _HEAD_SIZE)
        except fault:
            continue
        if head[_FLAGS] & _PG_HEAD and head[_PAGE_TYPE] == _HUGETLB and head[_PRIVATE] & _OPTIMIZED:
            found.append(pfn)
    return found


WAYS: dict[str, Callable[[Any, Job], list[int]]] = {"entries": by_entries, "flags": by_flags}


if __name__ == "__main__":
    described = Job(*json.loads(sys.argv[2]))
    print(len(WAYS[sys.argv[1]](opened(described), described)))
