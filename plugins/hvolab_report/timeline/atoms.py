# SPDX-License-Identifier: GPL-2.0-only
"""Steps of a voice as atoms, by which two voices are compared: one per entry, frame or call.

The model may store eight entries in one step and a kernel's own code in eight; both have the same eight atoms.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from hvolab_report.timeline.fold import Row, unfold

#: Kinds of which a kernel's own code reports none or other portions: its barriers, its stores of bytes, its counters.
OWN_CODE: Final = ("barrier", "store", "counter")
#: Functions of hvolab that model HVO; a voice in which none is in progress runs a kernel's own code.
_HVO_MODEL: Final = "hvolab.hvo."


@dataclass(frozen=True)
class Frame:
    """A frame in a detail; frames that a voice allocates are compared modulo frame numbers."""

    pfn: int

    def __str__(self) -> str:
        return f"PFN {self.pfn:#x}"


@dataclass(frozen=True)
class Address:
    """A VA in a detail; without its translation it cannot be compared with a frame of the direct map."""

    va: int

    def __str__(self) -> str:
        return hex(self.va)


Detail = str | int | Frame | Address


@dataclass(frozen=True)
class Atom:
    """The smallest part of a step that is compared.

    step     number of the step
    key      what it is and where; atoms of two voices correspond if they have the same key
    details  what is compared of atoms that correspond, by name
    new      whether its frame is newly allocated
    """

    step: int
    key: tuple[object, ...]
    details: Mapping[str, Detail]
    new: bool = False


class Voice:
    """A voice of a timeline's data.

    data      the voice, as in JSON
    steps     its rows that are steps, each with the name of its kind
    own_code  whether a kernel's own code runs HVO, as no function of the model is in progress
    """

    def __init__(self, data: Any, row_kinds: Any) -> None:
        self.data = data
        names = [kind["name"] if kind["is_step"] else "" for kind in row_kinds]
        self.steps: list[tuple[str, Row]] = [
            (names[row[0]], tuple(row)) for row in unfold([tuple(row) for row in data["rows"]]) if names[row[0]]
        ]
        self.own_code = not any(each["model"].startswith(_HVO_MODEL) for each in data["functions"])

    def atoms(self) -> list[Atom]:
        """Return the atoms in order.

        A key has the stage and the folio that HVO worked on last, and how often it occurred before there.
        """
        found: list[Atom] = []
        stage, folio = 0, ("", 0)
        seen: dict[tuple[object, ...], int] = {}
        for number, (name, row) in enumerate(self.steps):
            stage += name == "mark"
            if name == "folio":
                folio = (self._text(row[2]), self._va(row[3], row[4]))
            for what, details, new in self._parts(name, row):
                key = (name, stage, folio, *what)
                seen[key] = seen.get(key, -1) + 1
                found.append(Atom(number, (*key, seen[key]), details, new))
        return found

    def _text(self, index: int) -> str:
        return str(self.data["texts"][index])

    def _va(self, base: int, offset: int) -> int:
        return int(self.data["bases"][base], 16) + offset

    def _parts(self, name: str, row: Row) -> Iterator[tuple[tuple[object, ...], dict[str, Detail], bool]]:
        """Yield for each atom of a step: what its key has in addition, its details, and whether its frame is new."""
        if name == "entry.store":
            yield from self._entries(row)
        elif name == "page.allocate":
            details: dict[str, Detail] = {"GFP flags": self._text(row[2]), "order": row[3], "node": row[4]}
            for pfn in _frames(row[6:]):
                yield (), {**details, "frame": Frame(pfn)}, True
            if row[5]:
                yield (), {**details, "frame": "none, as the allocation fails"}, False
        elif name == "page.free":
            for pfn in _frames(row[4:]):
                yield (), {"order": row[2], "function": self._text(row[3]), "frame": Frame(pfn)}, False
        elif name == "page.split":
            yield (), {"frame": Frame(row[2]), "order": row[3]}, False
        elif name == "page.copy":
            places = {"to": self._place(*row[2:4]), "from": self._place(*row[4:6])}
            yield (), places, False
        else:
            yield self._words(name, row), {}, False

    def _words(self, name: str, row: Row) -> tuple[object, ...]:
        """Return what a row of any other kind says, as part of its key."""
        if name in {"mark", "barrier", "batch", "counter"}:
            return (self._text(row[2]), *(() if name == "mark" else row[3:]))  # its note is not compared
        if name == "folio":
            return row[5:]
        if name == "other":
            return (self._text(row[2]), self._text(row[3]))
        if name == "store":
            return (self._va(row[2], row[3]), row[5])
        if name in {"flush.range", "folio.prepare"}:
            return (self._va(row[2], row[3]), *row[4:])
        return row[2:]

    def _place(self, base: int, offset: int) -> Detail:
        """Return a VA; of one in the direct map its frame."""
        return Frame(offset >> self.data["page_shift"]) if base == 1 else Address(self._va(base, offset))

    def _entries(self, row: Row) -> Iterator[tuple[tuple[object, ...], dict[str, Detail], bool]]:
        level = self.data["levels"][row[2]]
        va = self._va(row[5], row[6])
        number = 0
        for pattern, first, by, count in _groups(row[8 + 4 * row[7] :], 4):
            stored = self.data["patterns"][pattern]
            words = ", ".join(stored["pgprots"]) or stored["access"] or stored["kind"]
            for turn in range(count):
                details: dict[str, Detail] = {"entry": f"{stored['kind']} {words} {stored['raw']}"}
                if stored["address"]:
                    details["frame"] = Frame(first + turn * by)
                yield (level["name"], bool(row[3]), va + (number << level["shift"])), details, False
                number += 1


def _groups(flat: Row, size: int) -> Iterator[Row]:
    for start in range(0, len(flat), size):
        yield flat[start : start + size]


def _frames(flat: Row) -> Iterator[int]:
    """Yield the PFNs of runs of frames."""
    for first, by, count in _groups(flat, 3):
        yield from (first + turn * by for turn in range(count))
