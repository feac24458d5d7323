# SPDX-License-Identifier: GPL-2.0-only
"""Plan of a boot: operations of `hvolab run --do` that a kernel's command line and sysfs can do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from hvolab.arch import Target
from hvolab.errors import UsageError
from hvolab.scenario import Request, parse_operations
from hvolab.units import format_short
from hvolab_boot.guest.readings import pool_path

#: What is typed in short, and the operation that it is.
_SHORT: Final = re.compile(r"(\w+)=(\d+)")
_ALL_FREE: Final = "free"
#: Operations that a kernel offers from outside.
_OFFERED: Final = ("boot", "resize", "shrink", "demote", "overcommit")


@dataclass(frozen=True)
class Plan:
    """Operations of a boot.

    boot     parameters of the kernel's command line, of the operations of boot
    steps    all other operations, each followed by a stage
    sizes    sizes of the mode's huge pages in bytes, ascending
    needed   bytes of huge pages that exist at once, at most
    """

    boot: str
    steps: tuple[Request, ...]
    sizes: tuple[int, ...]
    needed: int

    @property
    def smallest(self) -> int:
        """Bytes of the smallest huge page that it makes or frees; of the smallest of all where it names no size."""
        return min((step.size for step in self.steps if step.size is not None), default=self.sizes[0])


def parse_plan(text: str, target: Target) -> Plan:
    """Parse a plan: operations separated by commas, `SIZE=COUNT` for `resize SIZE COUNT`, `free` for `shrink`.

    Raises UsageError as `parse_operations`, and for an operation that no file of sysfs does.
    """
    words = [part.strip() for part in text.split(",")]
    requests = parse_operations(", ".join(map(_in_full, words)), target)
    for request in requests:
        if request.operation.name not in _OFFERED:
            raise UsageError(
                f"a booted kernel cannot do {str(request)!r} from outside",
                where=text,
                rule="Documentation/admin-guide/mm/hugetlbpage.rst: files of each pool in sysfs",
                hint=f"choose one of SIZE=COUNT, free, {', '.join(_OFFERED)}",
            )
    sizes = tuple(sorted(huge.size for huge in target.mode.huge_pages))
    boot = " ".join(_parameters(request) for request in requests if request.operation.at_boot)
    steps = tuple(request for request in requests if not request.operation.at_boot)
    return Plan(boot, steps, sizes, _needed(requests))


def writes_of(step: Request, sizes: Iterable[int]) -> Iterator[tuple[str, int]]:
    """Yield file and value of each write to sysfs that does a step; ``sizes`` are those of the kernel's pools."""
    name, size = step.operation.name, step.size
    match name:
        case "shrink":
            yield from ((f"{pool_path(each)}/nr_hugepages", 0) for each in sizes if size in {None, each})
        case "demote":
            yield f"{pool_path(size or 0)}/demote", step.count
        case "overcommit":
            yield f"{pool_path(size or 0)}/nr_overcommit_hugepages", step.count
        case _:
            yield f"{pool_path(size or 0)}/nr_hugepages", step.count


def _in_full(part: str) -> str:
    """Return an operation as `parse_operations` reads it."""
    short = _SHORT.fullmatch(part)
    return f"resize {short[1]} {short[2]}" if short else "shrink" if part == _ALL_FREE else part


def _parameters(request: Request) -> str:
    return f"hugepagesz={format_short(request.size or 0).replace(' ', '')} hugepages={request.count}"


def _needed(requests: Iterable[Request]) -> int:
    """Return the bytes of huge pages that exist at once, at most."""
    pools: dict[int, int] = {}
    most = 0
    for request in requests:
        size = request.size
        if request.operation.name == "shrink":
            pools = {each: count for each, count in pools.items() if size not in {None, each}}
        elif request.operation.name in {"resize", "boot"} and size is not None:
            pools[size] = request.count
        most = max(most, sum(each * count for each, count in pools.items()))
    return most
