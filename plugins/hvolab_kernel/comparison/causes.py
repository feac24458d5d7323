"""Causes of differences between a kernel of another release and v6.12: features, as data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

NOT_CALLED: Final = "not called"


@dataclass(frozen=True)
class ReleaseDifference:
    """A difference between a kernel and the engine as v6.12.

    kind            a call in a step, a result, a counter, a mapping, struct pages, a finding
    what            which one
    kernel, engine  both sides in words
    feature         feature of the release that explains it, and the effect of that feature; empty: no feature does
    """

    kind: str
    what: str
    kernel: str
    engine: str
    feature: str = ""
    because: str = ""


@dataclass(frozen=True)
class Cause:
    """A feature that a release has and v6.12 lacks, or the other way round, and differences that it explains.

    feature  name of the feature
    because  its effect, in a sentence
    explains returns True for a difference that the feature explains
    """

    feature: str
    because: str
    explains: Callable[[ReleaseDifference], bool]


_RCU, _KEY, _COUNTERS = "waits for RCU", "static key", "memmap counters"
_MOVES, _ONE_BY_ONE = "head moves to a new frame", "optimizes head pages, one by one"
_SHARED, _NAMES_BOTH = "tails share one page per zone and order", "walk names head and tail page"
_BOOT_BATCHES: Final = "batches of boot folios"
_HEAD_GFP: Final = "GFP_KERNEL|__GFP_NORETRY|__GFP_NOWARN,"
_ALONE_GFP: Final = "GFP_KERNEL|__GFP_THISNODE|__GFP_NORETRY,"
_RESTORE_GFP: Final = "GFP_KERNEL|__GFP_RETRY_MAYFAIL,"
_DIRTY: Final = "D"


def _only(side: str, call: str, text: str = "") -> Callable[[ReleaseDifference], bool]:
    """Match a call that only one side makes; `text`: its beginning."""
    other = "engine" if side == "kernel" else "kernel"

    def explains(one: ReleaseDifference) -> bool:
        mine = getattr(one, side)
        return (
            one.kind.startswith("call in ")
            and one.what == call
            and getattr(one, other) == NOT_CALLED != mine
            and mine.startswith(text)
        )

    return explains


def _changed(call: str, kernel: str, engine: str) -> Callable[[ReleaseDifference], bool]:
    """Match a call that both sides make, with other arguments: the beginning of each."""
    return lambda one: one.what == call and one.kernel.startswith(kernel) and one.engine.startswith(engine)


def _without_head(one: ReleaseDifference) -> bool:
    """Match a flush that omits one page."""
    if one.what != "flush range" or NOT_CALLED in {one.kernel, one.engine}:
        return False
    kernel, engine = (float(text.split()[0]) for text in (one.kernel, one.engine))
    return engine - kernel == 1


def _of(kind: str, *what: str) -> Callable[[ReleaseDifference], bool]:
    """Match differences of a kind whose `what` begins with one of these texts."""
    return lambda one: one.kind == kind and one.what.startswith(what)


def _has_dirty(one: ReleaseDifference) -> bool:
    """Match read-only entries that have Dirty in addition."""
    if (one.kind, one.what) != ("mapping", "tails' flags"):
        return False
    texts = [text.split() for text in (one.kernel, one.engine)]  # level, bits, names of bits
    if any(len(text) != 3 for text in texts):
        return False
    kernel, engine = (set(names.split("|")) for *_, names in texts)
    return kernel == engine | {_DIRTY} != engine


def _optimized_twice(one: ReleaseDifference) -> bool:
    """Match the effects of optimizing an optimized folio."""
    return (
        any(_only("kernel", call)(one) for call in ("key", "flush range", "free"))
        or (one.what == "optimize" and "BUG" in one.kernel)
        or (one.kind == "finding" and "list_add double add" in one.kernel)
        or (one.kind, one.what, one.kernel) == ("counter", "static key", "+1")
    )


#: The first match counts. Kernel: mm/hugetlb_vmemmap.c, v6.1, v7.2.
CAUSES: Final[tuple[Cause, ...]] = (
    Cause(_RCU, "it waits for no grace period", _only("engine", "rcu")),
    Cause(_KEY, "the kernel has no key to increment or decrement", _only("engine", "key")),
    Cause(_KEY, "the kernel has no key that counts optimized folios", _of("counter", "static key")),
    Cause(_COUNTERS, "the kernel does not count vmemmap pages", _only("engine", "count")),
    Cause(_COUNTERS, "the kernel does not count vmemmap pages", _of("counter", "nr_memmap")),
    Cause(
        _MOVES,
        "the head keeps its frame: none is allocated for it",
        _only("engine", "allocate", f"allocate({_HEAD_GFP}"),
    ),
    Cause(_MOVES, "the head keeps its frame: its old frame is not freed", _only("engine", "free")),
    Cause(_MOVES, "the head keeps its frame", _of("mapping", "head's frame")),
    Cause(_MOVES, "the head's entry is not written, and not flushed", _without_head),
    Cause(
        _ONE_BY_ONE,
        "page tables are allocated as plain pages",
        _changed("allocate", "allocate(GFP_KERNEL|__GFP_ZERO, order 0)", "allocate(GFP_KERNEL|__GFP_ZERO|__GFP_COMP,"),
    ),
    Cause(
        _ONE_BY_ONE,
        "restored pages are allocated on their node only, without retries",
        _changed("allocate", f"allocate({_ALONE_GFP}", f"allocate({_RESTORE_GFP}"),
    ),
    Cause(_ONE_BY_ONE, "PAGE_KERNEL_RO has Dirty on x86_64", _has_dirty),
    Cause(_ONE_BY_ONE, "an optimized folio is optimized again", _optimized_twice),
    Cause(_ONE_BY_ONE, "self-hosted vmemmap is recognized before the folio is counted", _only("engine", "key")),
    Cause(
        _SHARED,
        "the shared tail page is allocated once",
        _only("kernel", "allocate", "allocate(GFP_KERNEL|__GFP_ZERO,"),
    ),
    Cause(_SHARED, "tails are mapped to a shared page instead of the head's", _of("mapping", "tails' frame")),
    Cause(_SHARED, "tails read as the page that they share, also when restored", _of("struct pages", "tail pages")),
    Cause(
        _NAMES_BOTH,
        "the head's page is allocated with plain GFP_KERNEL",
        _changed("allocate", "allocate(GFP_KERNEL,", f"allocate({_HEAD_GFP}"),
    ),
    Cause(_NAMES_BOTH, "restoring begins with the first tail and flushes from there", _without_head),
    Cause(_BOOT_BATCHES, "an empty list is flushed once", _only("engine", "flush all")),
)
