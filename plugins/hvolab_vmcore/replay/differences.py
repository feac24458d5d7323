"""What a comparison between the engine and a kernel yields: differences, what was compared, what was left out."""

from __future__ import annotations

from dataclasses import dataclass, field

#: Differences that are told one by one; the rest is counted.
LARGEST_LIST = 200


@dataclass(frozen=True)
class ReplayDifference:
    """One thing that the kernel left otherwise than the engine.

    kind    stable name: ``entry.kind``, ``entry.flags``, ``entry.frame``, ``entry.kept``, ``struct-page.…``
    text    what differs
    va      VA that the entry maps, or of the word in the struct page
    engine  the engine's entry or word, in hex and decoded
    kernel  the kernel's
    variant  the variant of HVO that explains it, where kernel and engine have different ones; empty: none does
    """

    kind: str
    text: str
    va: int
    engine: str
    kernel: str
    variant: str = ""

    def as_dict(self) -> dict[str, str]:
        """The difference for JSON: the VA in hex."""
        return {
            "kind": self.kind,
            "text": self.text,
            "va": hex(self.va),
            "engine": self.engine,
            "kernel": self.kernel,
            "variant": self.variant,
        }


@dataclass(frozen=True)
class LeftOut:
    """Something that was not compared: what, how much of it (0: not countable), and why."""

    what: str
    count: int
    why: str

    def as_dict(self) -> dict[str, str | int]:
        """The parts by name, for JSON."""
        return {"what": self.what, "count": self.count, "why": self.why}


@dataclass
class ReplayComparison:
    """What one comparison found so far.

    compared     how many entries or struct pages
    found        how many differences
    differences  the first of them
    left_out     what was not compared
    """

    compared: int = 0
    found: int = 0
    differences: list[ReplayDifference] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)

    @property
    def full(self) -> bool:
        """Whether further differences are counted only."""
        return len(self.differences) >= LARGEST_LIST

    def add(self, difference: ReplayDifference) -> None:
        """Note one difference."""
        self.found += 1
        if not self.full:
            self.differences.append(difference)

    def leave_out(self, what: str, count: int, why: str) -> None:
        """Note what was not compared, if it is anything."""
        if count:
            self.left_out.append(LeftOut(what, count, why))
