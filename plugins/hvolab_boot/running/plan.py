# SPDX-License-Identifier: GPL-2.0-only
"""Plan of a boot: operations of `hvolab run --do` that a kernel's command line and sysfs can do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from hvolab.arch import Target
from hvolab.errors import UsageError
from hvolab.hvo import VmemmapSizes
from hvolab.scenario import Request, parse_operations
from hvolab.units import format_short
from hvolab_boot.guest.readings import pool_path

#: What is typed in short, and the operation that it is.
_SHORT: Final = re.compile(r"(\w+)=(\d+)")
_ALL_FREE: Final = "free"
#: Operations that make as many huge pages of a size as they name.
_MAKING: Final = frozenset({"boot", "resize"})
#: Operations that a kernel offers from outside.
_OFFERED: Final = ("boot", "resize", "shrink", "demote", "overcommit")
#: Most huge pages that a plan by default makes, and the bytes that they must fit; it makes one of a larger size.
_DEFAULT_PAGES: Final = 8
_DEFAULT_BYTES: Final = 256 << 20


@dataclass(frozen=True)
class Plan:
    """Operations of a boot.

    boot         parameters of the kernel's command line, of the operations of boot
    steps        all other operations, each followed by a stage
    page_size    bytes of a base page
    sizes        sizes of the mode's huge pages in bytes, ascending
    optimizable  those of them that HVO can optimize
    needed       bytes of huge pages that exist at once, at most
    largest      bytes of the largest huge page that it makes
    """

    boot: str
    steps: tuple[Request, ...]
    page_size: int
    sizes: tuple[int, ...]
    optimizable: tuple[int, ...]
    needed: int
    largest: int

    @property
    def smallest(self) -> int:
        """Bytes of the smallest huge page that it makes or frees and HVO optimizes; else of the smallest of all."""
        named = [step.size for step in self.steps if step.size in self.optimizable]
        return min((size for size in named if size is not None), default=min(self.optimizable, default=self.sizes[0]))


def default_plan(target: Target) -> str:
    """Return the plan that makes and frees huge pages of the smallest size that HVO optimizes."""
    size = min(_optimizable(target), default=target.mode.huge_pages[0].size)
    count = max(1, min(_DEFAULT_PAGES, _DEFAULT_BYTES // size))
    return f"{_typed(size)}={count}, {_ALL_FREE}"


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
    largest = max((request.size or 0 for request in requests if request.operation.name in _MAKING), default=0)
    return Plan(boot, steps, target.mode.page_size, sizes, _optimizable(target), _needed(requests), largest)


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


def _optimizable(target: Target) -> tuple[int, ...]:
    """Return the sizes of huge pages that HVO can optimize, ascending."""
    page_size, struct_page = target.mode.page_size, target.struct_page.size
    orders = {huge.size: (huge.size // page_size).bit_length() - 1 for huge in target.mode.huge_pages}
    return tuple(sorted(size for size, n in orders.items() if VmemmapSizes(n, page_size, struct_page).optimizable))


def _parameters(request: Request) -> str:
    return f"hugepagesz={_typed(request.size or 0)} hugepages={request.count}"


def _typed(size: int) -> str:
    """Return a size in the form of a boot parameter, as 2M."""
    return format_short(size).replace(" ", "")


def _needed(requests: Iterable[Request]) -> int:
    """Return the bytes of huge pages that exist at once, at most."""
    pools: dict[int, int] = {}
    most = 0
    for request in requests:
        size = request.size
        if request.operation.name == "shrink":
            pools = {each: count for each, count in pools.items() if size not in {None, each}}
        elif request.operation.name in _MAKING and size is not None:
            pools[size] = request.count
        most = max(most, sum(each * count for each, count in pools.items()))
    return most
