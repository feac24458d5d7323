# SPDX-License-Identifier: GPL-2.0-only
"""Words and instructions that CPUs share: they grow until the schedules of a whole search add none."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hvolab_explorer.steps.footprint import Token


@dataclass
class Touched:
    """Tokens and frames that one CPU has read and written in a schedule; the words of contended frames are tokens."""

    reads: set[Token] = field(default_factory=set)
    writes: set[Token] = field(default_factory=set)
    read_frames: set[int] = field(default_factory=set)
    written_frames: set[int] = field(default_factory=set)

    def clear(self) -> None:
        """Begin a schedule."""
        for tokens in (self.reads, self.writes, self.read_frames, self.written_frames):
            tokens.clear()

    def add(self, reads: Iterable[Token], writes: Iterable[Token], words_per_frame: int) -> None:
        """Add the tokens of a step that the machine or a model has carried out."""
        self.reads.update(reads)
        self.writes.update(writes)
        self.read_frames.update(token // words_per_frame for token in reads if isinstance(token, int))
        self.written_frames.update(token // words_per_frame for token in writes if isinstance(token, int))


@dataclass
class Knowledge:
    """Shared tokens, and the instructions that touch them.

    shared    by CPU and False: tokens that it reads and others write; by CPU and True: that it writes and others touch
    frames    frames that several CPUs touch, one of them writing; words of others are not looked at one by one
    points    VAs of instructions that touch a shared token: a CPU stops before each
    pages     pages of the vmemmap whose translation changes, by number
    exposed   CPU and page: it reads the page before and after the translation changes, so that a flush matters
    stored    frames of the kernel's own memory to which anything stores; loads from others are not looked at
    """

    shared: defaultdict[tuple[int, bool], set[Token]] = field(default_factory=lambda: defaultdict(set))
    frames: set[int] = field(default_factory=set)
    points: set[int] = field(default_factory=set)
    pages: set[int] = field(default_factory=set)
    exposed: set[tuple[int, int]] = field(default_factory=set)
    stored: set[int] = field(default_factory=set)
    _growing: Knowledge | None = None

    @property
    def growing(self) -> Knowledge:
        """Additions, for the schedules after this one."""
        if self._growing is None:
            self._growing = Knowledge()
        return self._growing

    def compare(self, touched: Sequence[Touched]) -> None:
        """Add the tokens and frames that several CPUs have touched in a schedule, one of them writing."""
        new = self.growing
        for cpu, one in enumerate(touched):
            others = [other for other in touched if other is not one]
            for other in others:
                new.shared[cpu, False] |= one.reads & other.writes
                new.shared[cpu, True] |= one.writes & other.writes | one.writes & other.reads
                new.frames |= one.written_frames & (other.written_frames | other.read_frames)

    def forget(self) -> None:
        """Discard what was not adopted."""
        self._growing = None

    def adopt(self) -> bool:
        """Take over what was added; return whether there was anything new."""
        new = self.growing
        pairs: list[tuple[set[Any], set[Any]]] = [(self.shared[key], tokens) for key, tokens in new.shared.items()]
        pairs += [(self.frames, new.frames), (self.points, new.points), (self.pages, new.pages)]
        pairs += [(self.exposed, new.exposed), (self.stored, new.stored)]
        grown = any(not added <= known for known, added in pairs)
        for known, added in pairs:
            known.update(added)
        self.forget()
        return grown
