# SPDX-License-Identifier: GPL-2.0-only
"""Operations on the pools of a machine, and the language in which `hvolab run --do` names them.

Operations are separated by commas. Each is a name, a huge page size and a number of pages, as far as it takes them:
`optimize, demote 1G, dissolve 2M 3, shrink`.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final

from hvolab.arch import Target
from hvolab.errors import UsageError, choice_hint
from hvolab.hugetlb import (
    EHWPOISON,
    Pool,
    alloc_boot_pages,
    demote_pool_huge_page,
    memory_failure,
)
from hvolab.hugetlb import fault as map_reserved
from hvolab.hugetlb import reserve as reserve_folios
from hvolab.hugetlb import unreserve as unreserve_folios
from hvolab.units import NodeCounts, format_count, format_short, format_size, parse_size

_ERRORS: Final = {**errno.errorcode, EHWPOISON: "EHWPOISON"}


@dataclass(frozen=True)
class PoolSet:
    """The pools of a machine, ascending by size, and by size the pages that `optimize` grows them to."""

    pools: tuple[Pool, ...]
    requested: Mapping[int, int]


@dataclass(frozen=True)
class Outcome:
    """Result of an operation: pages done, pages requested, and the errno that stopped it, 0 for none."""

    done: int
    requested: int
    error: int = 0

    def __str__(self) -> str:
        error = f", -{_ERRORS[-self.error]}" if self.error else ""
        return f"{self.done} of {self.requested}{error}"

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(self.done + other.done, self.requested + other.requested, self.error or other.error)


_Run = Callable[[PoolSet, Pool, int], Outcome]


@dataclass(frozen=True)
class Operation:
    """One kind of operation.

    name            its name in the language
    arguments       its arguments: `SIZE` and `COUNT`, those in brackets are optional
    help            what it does, in a sentence
    run             does it to one pool
    at_boot         it comes before all others
    smallest_first  several pools are taken ascending by size, not descending: as long as there are wide gaps
    """

    name: str
    arguments: str
    help: str
    run: _Run
    at_boot: bool = False
    smallest_first: bool = False

    @property
    def required(self) -> list[str]:
        """Arguments that it needs."""
        return self.arguments.partition("[")[0].split()

    @property
    def syntax(self) -> str:
        """Name and arguments."""
        return f"{self.name} {self.arguments}"


@dataclass(frozen=True)
class Request:
    """One operation as it was requested: on the pool of a size (None: on every pool), and for a number of pages."""

    operation: Operation
    size: int | None = None
    count: int = 1

    def __str__(self) -> str:
        size = [] if self.size is None else [format_short(self.size)]
        shown = self.count != 1 or "COUNT" in self.operation.required
        return " ".join([self.operation.name, *size, *([format_count(self.count)] if shown else [])])

    def run(self, pools: PoolSet) -> Outcome:
        """Do it on the pool of its size, or on every pool."""
        ordered = pools.pools if self.operation.smallest_first else pools.pools[::-1]
        chosen = (pool for pool in ordered if self.size in {None, pool.h.size})
        return sum((self.operation.run(pools, pool, self.count) for pool in chosen), start=Outcome(0, 0))


#: Every operation, by name.
OPERATIONS: Final[dict[str, Operation]] = {}


def _operation(arguments: str, **options: bool) -> Callable[[_Run], _Run]:
    """Register a function as the operation of its name; its docstring is the help."""

    def register(run: _Run) -> _Run:
        OPERATIONS[run.__name__] = Operation(run.__name__, arguments, run.__doc__ or "", run, **options)
        return run

    return register


@_operation("[SIZE]")
def optimize(pools: PoolSet, pool: Pool, _: int) -> Outcome:
    """Grow a pool, or each, to its pages in --hugepages, and optimize them in a batch."""
    requested = pools.requested.get(pool.h.size, 0)
    if not isinstance(requested, NodeCounts):
        return resize(pools, pool, max(pool.h.persistent, requested))
    before, wanted = pool.h.persistent, 0
    for node, count in requested.nodes.items():
        target = max(count, pool.h.persistent_on(node))
        wanted += target - pool.h.persistent_on(node)
        pool.set_max_huge_pages(target, node)
    done = pool.h.persistent - before
    return Outcome(done, wanted, 0 if done == wanted else -errno.ENOMEM)


@_operation("[SIZE]", smallest_first=True)
def shrink(pools: PoolSet, pool: Pool, _: int) -> Outcome:
    """Restore and free the free pages of a pool, or of each; pages in use become surplus."""
    return resize(pools, pool, 0)


@_operation("SIZE COUNT")
def resize(_: PoolSet, pool: Pool, count: int) -> Outcome:
    """Grow or shrink a pool to COUNT pages, as a write to nr_hugepages does."""
    before = pool.h.persistent
    pool.set_max_huge_pages(count)
    after = pool.h.persistent
    return Outcome(abs(after - before), abs(count - before), 0 if after == count else -errno.ENOMEM)


@_operation("SIZE [COUNT]", at_boot=True)
def boot(_: PoolSet, pool: Pool, count: int) -> Outcome:
    """Allocate pages at boot, as hugepages= does; comes before all other operations."""
    done = alloc_boot_pages(pool, count)
    return Outcome(done, count, 0 if done == count else -errno.ENOMEM)


@_operation("SIZE [COUNT]")
def demote(pools: PoolSet, pool: Pool, count: int) -> Outcome:
    """Demote free pages to pages of the next smaller size, none if all are reserved."""
    into = next((other for other in pools.pools if other.h.order == pool.h.demote_order), pool)
    # demote_store() looks before each call, and a call demotes one page or, since v6.12, all of them
    available = pool.h.free - pool.h.resv
    wanted = count if pool.variant.batches and available else min(count, available)
    if into is not pool and not wanted:
        return Outcome(0, count, 0)
    demoted = demote_pool_huge_page(pool, into, wanted)
    return Outcome(max(demoted, 0), count, min(demoted, 0))


@_operation("[SIZE [COUNT]]")
def dissolve(_: PoolSet, pool: Pool, count: int) -> Outcome:
    """Free single free pages of a pool, or of each, as memory hotplug and memory failure do."""
    return _outcome(count if pool.h.nr else 0, map(pool.dissolve, list(pool.free_folios())))


@_operation("SIZE [COUNT]")
def surplus(_: PoolSet, pool: Pool, count: int) -> Outcome:
    """Allocate surplus pages, as overcommit does, up to its limit; they are in use."""
    return _outcome(count, (-errno.ENOMEM if pool.alloc_surplus() is None else 0 for _ in range(count)))


@_operation("SIZE COUNT")
def overcommit(_: PoolSet, pool: Pool, count: int) -> Outcome:
    """Limit surplus pages to COUNT, as a write to nr_overcommit_hugepages does; by default any number is allowed."""
    if pool.h.gigantic and not pool.variant.overcommits_gigantic:
        return Outcome(0, count, -errno.EINVAL)
    pool.h.nr_overcommit_huge_pages = count
    return Outcome(count, count)


@_operation("SIZE [COUNT]")
def use(_: PoolSet, pool: Pool, count: int) -> Outcome:
    """Take free pages that are not reserved into use."""
    return _outcome(count, (-errno.ENOSPC if pool.dequeue() is None else 0 for _ in range(count)))


@_operation("SIZE [COUNT]")
def free(_: PoolSet, pool: Pool, count: int) -> Outcome:
    """Free pages that are in use; surplus pages leave the pool."""
    used = sorted(pool.live.difference(pool.free_folios()))[:count]
    for folio in used:
        pool.put(folio)
    return Outcome(len(used), count)


@_operation("SIZE [COUNT]")
def temporary(_: PoolSet, pool: Pool, count: int) -> Outcome:
    """Allocate pages in use that `free` frees to the page allocator, as targets of migration are."""
    return _outcome(count, (-errno.ENOMEM if pool.alloc_temporary() is None else 0 for _ in range(count)))


@_operation("SIZE [COUNT]")
def reserve(_: PoolSet, pool: Pool, count: int) -> Outcome:
    """Reserve pages, as a mapping does: all or none; surplus pages are allocated if fewer are free."""
    error = reserve_folios(pool, count)
    return Outcome(0 if error else count, count, error)


@_operation("SIZE [COUNT]")
def unreserve(_: PoolSet, pool: Pool, count: int) -> Outcome:
    """Release reservations, as the end of a mapping does; as many free surplus pages are freed."""
    released = min(count, pool.h.resv)
    unreserve_folios(pool, released)
    return Outcome(released, count)


@_operation("SIZE [COUNT]")
def fault(_: PoolSet, pool: Pool, count: int) -> Outcome:
    """Map reserved pages, as page faults do; each uses up a reservation, and can be migrated and poisoned."""
    return _outcome(count, (-errno.ENOSPC if map_reserved(pool) is None else 0 for _ in range(count)))


@_operation("SIZE [COUNT]")
def poison(_: PoolSet, pool: Pool, count: int) -> Outcome:
    """Report a memory error in the second base page of the first pages, by PFN, as memory_failure() handles it."""
    return _poison(pool, count, recorded=True)


@_operation("SIZE [COUNT]")
def poison_unrecorded(_: PoolSet, pool: Pool, count: int) -> Outcome:
    """Report memory errors as `poison` does, while the kernel has no memory for its records of them."""
    return _poison(pool, count, recorded=False)


def _poison(pool: Pool, count: int, *, recorded: bool) -> Outcome:
    """Poison the next frame of each of the first folios, by PFN; its number counts the errors of that folio."""
    pages, poisoned = pool.machine.struct_pages, pool.machine.poisoned
    results = []
    for pfn in sorted(map(pages.pfn, pool.live))[:count]:
        frame = next(one for one in range(pfn + 1, pfn + (1 << pool.h.order)) if one not in poisoned)
        results.append(memory_failure(pool, frame, recorded=recorded))
    failed = [error for error in results if error]
    return Outcome(len(results) - len(failed), count, failed[0] if failed else 0)


def _outcome(count: int, results: Iterable[int]) -> Outcome:
    """Count results up to the first negative errno, and up to `count` of them."""
    done = 0
    for error in islice(results, count):
        if error:
            return Outcome(done, count, error)
        done += 1
    return Outcome(done, count)


#: The operations of a scenario for which none are requested.
DEFAULT: Final = (Request(OPERATIONS["optimize"]), Request(OPERATIONS["shrink"]))


def check_huge_page(target: Target, size: int) -> None:
    """Raise UsageError if the mode has no huge pages of that many bytes."""
    sizes = [huge.size for huge in target.mode.huge_pages]
    if size not in sizes:
        where = f"{target.architecture.name} {target.mode.name}"
        hint = f"the sizes are {', '.join(map(format_short, sizes))}"
        raise UsageError(f"{where} has no huge pages of {format_size(size)}", hint=hint)


def parse_operations(text: str, target: Target) -> tuple[Request, ...]:
    """Parse operations separated by commas; COUNT is 1 by default.

    Raises UsageError for an unknown operation, arguments that it does not take, a size that the mode does not have, and
    an operation of boot after others.
    """
    parts = [part.strip() for part in text.split(",")]
    requests: list[Request] = []
    for number, part in enumerate(parts, start=1):
        try:
            requests.append(_parse(part.split(), target, requests))
        except UsageError as error:
            where = f"operation {number} of {len(parts)}, {part!r}"
            raise UsageError(error.what, where=where, rule=error.rule, hint=error.hint) from error
    return tuple(requests)


def _parse(words: list[str], target: Target, before: list[Request]) -> Request:
    """Parse one operation from its words."""
    operation = OPERATIONS.get(words[0]) if words else None
    if operation is None:
        what = f"unknown operation {words[0]!r}" if words else "an operation is missing"
        raise UsageError(what, hint=choice_hint("".join(words[:1]), OPERATIONS))
    arguments, known = words[1:], operation.arguments.split()
    required = operation.required
    usage = f"write {operation.syntax}"
    if len(arguments) < len(required):
        raise UsageError(f"{operation.name} needs {required[len(arguments)]}", hint=usage)
    if len(arguments) > len(known):
        raise UsageError(f"{operation.name} does not take {arguments[len(known)]!r}", hint=usage)
    size = parse_size(arguments[0]) if arguments else None
    if size is not None:
        check_huge_page(target, size)
    count = arguments[1] if len(arguments) > 1 else "1"
    if not (count.isascii() and count.isdecimal()):
        raise UsageError(f"{count!r} is not a number of pages", hint=usage)
    if operation.at_boot and not all(request.operation.at_boot for request in before):
        rule = "pages are reserved at boot, before the pools change"
        raise UsageError(f"{operation.name} comes after {before[-1]}", rule=rule, hint=f"put {operation.name} first")
    return Request(operation, size, int(count))
