"""Why a kernel of another release does something otherwise than v6.12: by feature, as data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Seen:
    """Something that differs.

    kind            what it is: a call in a step, a result, a counter, a mapping, struct pages
    what            which one
    kernel, engine  both sides in words
    """

    kind: str
    what: str
    kernel: str
    engine: str


@dataclass(frozen=True)
class Cause:
    """A feature that a release has or lacks, and what it makes differ.

    feature  its name; it is a cause where the kernel has it and v6.12 does not, or the other way about
    because  what it does, in a sentence
    fits     whether a difference is one that it makes
    """

    feature: str
    because: str
    fits: Callable[[Seen], bool]


_NOT: Final = "not called"
_RCU, _KEY, _COUNTERS = "waits for RCU", "static key", "memmap counters"
_MOVES, _ONE_BY_ONE = "head moves to a new frame", "optimizes head pages, one by one"
_SHARED, _NAMES_BOTH = "tails share one page per zone and order", "walk names head and tail page"
_BOOT_BATCHES: Final = "batches of boot folios"
_HEAD_GFP: Final = "GFP_KERNEL|__GFP_NORETRY|__GFP_NOWARN,"
_ALONE_GFP: Final = "GFP_KERNEL|__GFP_THISNODE|__GFP_NORETRY,"
_RESTORE_GFP: Final = "GFP_KERNEL|__GFP_RETRY_MAYFAIL,"
_DIRTY: Final = "D"


def _only(side: str, what: str, words: str = "") -> Callable[[Seen], bool]:
    """A call that only one side makes; ``words``: how it begins."""
    other = "engine" if side == "kernel" else "kernel"

    def fits(seen: Seen) -> bool:
        mine = getattr(seen, side)
        return (
            seen.kind.startswith("call in ")
            and seen.what == what
            and getattr(seen, other) == _NOT != mine
            and mine.startswith(words)
        )

    return fits


def _changed(what: str, kernel: str, engine: str) -> Callable[[Seen], bool]:
    """A call that both sides make, with other arguments: how each begins."""
    return lambda seen: seen.what == what and seen.kernel.startswith(kernel) and seen.engine.startswith(engine)


def _without_head(seen: Seen) -> bool:
    """A flush that leaves one page out."""
    if seen.what != "flush range" or _NOT in {seen.kernel, seen.engine}:
        return False
    kernel, engine = (float(words.split()[0]) for words in (seen.kernel, seen.engine))
    return engine - kernel == 1


def _of(kind: str, *what: str) -> Callable[[Seen], bool]:
    """A difference of a kind in one of some things."""
    return lambda seen: seen.kind == kind and any(seen.what.startswith(one) for one in what)


def _has_dirty(seen: Seen) -> bool:
    """Read-only entries that have Dirty besides."""
    if (seen.kind, seen.what) != ("mapping", "tails' flags"):
        return False
    words = [one.split() for one in (seen.kernel, seen.engine)]  # level, bits, their names
    if any(len(one) != 3 for one in words):
        return False
    kernel, engine = (set(names.split("|")) for *_, names in words)
    return kernel == engine | {_DIRTY} != engine


#: The first that fits is taken. Kernel: mm/hugetlb_vmemmap.c, v6.1, v7.2.
CAUSES: Final[tuple[Cause, ...]] = (
    Cause(_RCU, "no grace period is waited for", _only("engine", "rcu")),
    Cause(_KEY, "there is no key to raise and lower", _only("engine", "key")),
    Cause(_KEY, "there is no key to count with", _of("counter", "static key")),
    Cause(_COUNTERS, "pages of vmemmap are not counted", _only("engine", "count")),
    Cause(_COUNTERS, "pages of vmemmap are not counted", _of("counter", "nr_memmap")),
    Cause(
        _MOVES, "the head keeps its frame, so none is asked for", _only("engine", "allocate", f"allocate({_HEAD_GFP}")
    ),
    Cause(_MOVES, "the head keeps its frame, so that is not freed", _only("engine", "free")),
    Cause(_MOVES, "the head keeps its frame", _of("mapping", "head's frame")),
    Cause(_MOVES, "the head's entry is not written, and not flushed", _without_head),
    Cause(
        _ONE_BY_ONE,
        "tables are asked for as plain pages",
        _changed("allocate", "allocate(GFP_KERNEL|__GFP_ZERO, order 0)", "allocate(GFP_KERNEL|__GFP_ZERO|__GFP_COMP,"),
    ),
    Cause(
        _ONE_BY_ONE,
        "restored pages are asked for on their node alone, and given up early",
        _changed("allocate", f"allocate({_ALONE_GFP}", f"allocate({_RESTORE_GFP}"),
    ),
    Cause(_ONE_BY_ONE, "PAGE_KERNEL_RO has Dirty on x86_64", _has_dirty),
    Cause(
        _ONE_BY_ONE,
        "what is optimized already is not refused",
        lambda seen: (
            any(_only("kernel", what)(seen) for what in ("key", "flush range", "free"))
            or (seen.what == "optimize" and "BUG" in seen.kernel)
            or (seen.kind == "finding" and "list_add double add" in seen.kernel)
            or (seen.kind, seen.what, seen.kernel) == ("counter", "static key", "+1")
        ),
    ),
    Cause(_ONE_BY_ONE, "self-hosted vmemmap is told before the folio is counted", _only("engine", "key")),
    Cause(
        _SHARED,
        "the page that tails share is asked for once",
        _only("kernel", "allocate", "allocate(GFP_KERNEL|__GFP_ZERO,"),
    ),
    Cause(_SHARED, "tails are mapped to a page that is no head's", _of("mapping", "tails' frame")),
    Cause(_SHARED, "tails read as the page that they share, also when restored", _of("struct pages", "tail pages")),
    Cause(
        _NAMES_BOTH,
        "the head's page is asked for with plain GFP_KERNEL",
        _changed("allocate", "allocate(GFP_KERNEL,", f"allocate({_HEAD_GFP}"),
    ),
    Cause(_NAMES_BOTH, "restoring begins with the first tail, and flushes no more", _without_head),
    Cause(_BOOT_BATCHES, "a list of none is flushed for once", _only("engine", "flush all")),
)
