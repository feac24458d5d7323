# SPDX-License-Identifier: GPL-2.0-only
"""Alignment of two voices: the steps that correspond, what differs in them, and the first difference."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from hvolab.errors import UsageError
from hvolab_report.timeline.atoms import OWN_CODE, Address, Atom, Detail, Frame, Voice

#: In the place of a difference's index: none, and a step of one voice that is not compared.
SAME, NOT_COMPARED = -1, -2
_PAIR: Final = 2


@dataclass
class _Group:
    """Steps that correspond: of each voice the first and the end, and what differs."""

    start: tuple[int, int]
    end: tuple[int, int]
    differs: str = ""
    compared: bool = True


def align(data: Any) -> Any:
    """Return the data of a timeline with the alignment of its voices; unchanged, if it has not two of them."""
    if len(data["voices"]) != _PAIR:
        return data
    one, two = (Voice(voice, data["row_kinds"]) for voice in data["voices"])
    left_out = OWN_CODE if one.own_code or two.own_code else ()
    groups = _groups(one, two, left_out)
    texts: dict[str, int] = {}
    aligned: list[int] = []
    difference: tuple[int, int] | None = None
    for group in groups:
        what = texts.setdefault(group.differs, len(texts)) if group.differs else SAME
        counts = [end - start for start, end in zip(group.start, group.end, strict=True)]
        aligned += [group.start[0], counts[0], group.start[1], counts[1], what if group.compared else NOT_COMPARED]
        if group.differs and difference is None:
            difference = group.start
    return {
        **data,
        "difference": list(difference or ()),
        "aligned": aligned,
        "differs": list(texts),
        "not_compared": list(left_out),
    }


def side_by_side(first: Any, second: Any, names: tuple[str, str]) -> Any:
    """Return the data of a timeline with the voices of two recordings, aligned.

    names  of the voices, where the recordings do not name them differently

    Raises UsageError for a recording that has not one voice, and for recordings of different page sizes.
    """
    voices = []
    for data, name in zip((first, second), names, strict=True):
        if len(data["voices"]) != 1:
            what = f"{name} has {len(data['voices'])} voices"
            raise UsageError(what, rule="two recordings of one voice each are aligned", hint="write its page alone")
        voices.append(data["voices"][0])
    if voices[0]["page_shift"] != voices[1]["page_shift"]:
        what = f"{names[0]} and {names[1]} have base pages of different sizes"
        raise UsageError(
            what, rule="steps are aligned by the VA of entries", hint="record both in modes of one page size"
        )
    if not voices[0]["name"] or voices[0]["name"] == voices[1]["name"]:
        voices = [{**voice, "name": name} for voice, name in zip(voices, names, strict=True)]
    title = f"{voices[0]['name']} against {voices[1]['name']}"
    return align({**first, "title": title, "voices": voices})


def first_difference(data: Any) -> str:
    """Return the first difference of a timeline's two voices in words, with the step of each."""
    if not data["difference"]:
        return "none"
    steps = ", ".join(f"{voice['name']} {step}" for voice, step in zip(data["voices"], data["difference"], strict=True))
    return f"{data['differs'][0]} (step: {steps})"


def _groups(one: Voice, two: Voice, left_out: tuple[str, ...]) -> list[_Group]:
    """Return the groups in order; each step of each voice is in one."""
    atoms = one.atoms(), two.atoms()
    frames = _Frames()
    found: list[_Group] = []
    for first, second in _pairs(*atoms):
        differs = frames.difference(first, second)
        last = found[-1] if found else None
        if last and (first.step < last.end[0] or second.step < last.end[1]):
            last.end = max(last.end[0], first.step + 1), max(last.end[1], second.step + 1)
            last.differs = last.differs or differs
        else:
            found.append(_Group((first.step, second.step), (first.step + 1, second.step + 1), differs))
    paired = [{atom.key for atom in each} for each in atoms]
    for voice, (each, others) in enumerate(zip(atoms, reversed(paired), strict=True)):
        _mark_missing(found, voice, [atom for atom in each if atom.key not in others and atom.key[0] not in left_out])
    return _filled(found, (one, two), left_out)


def _mark_missing(groups: list[_Group], voice: int, atoms: list[Atom]) -> None:
    """Mark groups with a part of a step that the other voice has not."""
    starts = [group.start[voice] for group in groups]
    for atom in atoms:
        at = bisect_left(starts, atom.step + 1) - 1
        if at >= 0 and atom.step < groups[at].end[voice] and not groups[at].differs:
            groups[at].differs = f"a part of the {'first' if voice == 0 else 'second'} alone: {_words(atom)}"


def _words(atom: Atom) -> str:
    name, *_ = atom.key
    return ", ".join([str(name), *(f"{key} {value}" for key, value in atom.details.items())])


def _filled(groups: list[_Group], voices: tuple[Voice, Voice], left_out: tuple[str, ...]) -> list[_Group]:
    """Add the steps that correspond to none, and join steps that correspond one by one and are alike."""
    found: list[_Group] = []
    at = [0, 0]
    end = (len(voices[0].steps), len(voices[1].steps))
    for group in [*groups, _Group(end, end)]:
        for voice, other in ((0, 1), (1, 0)):
            for step in range(at[voice], group.start[voice]):
                start = (step, at[1]) if voice == 0 else (group.start[0], step)
                past = (step + 1, at[1]) if voice == 0 else (group.start[0], step + 1)
                compared = voices[voice].steps[step][0] not in left_out
                words = f"the {('first', 'second')[other]} has no such step"
                _append(found, _Group(start, past, words if compared else "", compared))
        at = [*group.end]
        if group.start != group.end:
            _append(found, group)
    return found


def _append(groups: list[_Group], group: _Group) -> None:
    last = groups[-1] if groups else None
    if last and last.end == group.start and _shape(last) == _shape(group) is not None:
        last.end = group.end
    else:
        groups.append(group)


def _shape(group: _Group) -> tuple[object, ...] | None:
    """Return what groups that can be joined have in common; None: the group stands alone.

    Steps of one voice that the other has not are joined, and so are steps that correspond one by one and are alike.
    """
    counts = [end - start for start, end in zip(group.start, group.end, strict=True)]
    if all(counts) and (group.differs or (group.compared and counts[0] != counts[1])):
        return None
    return group.differs, group.compared, *map(bool, counts)


def _pairs(one: Sequence[Atom], two: Sequence[Atom]) -> list[tuple[Atom, Atom]]:
    """Return the most atoms that have the same key and the same order in both: the longest increasing subsequence."""
    places = {atom.key: index for index, atom in enumerate(two)}
    common = [(atom, places[atom.key]) for atom in one if atom.key in places]
    ends: list[int] = []
    members: list[int] = []
    before: list[int] = []
    for index, (_, place) in enumerate(common):
        length = bisect_left(ends, place)
        before.append(members[length - 1] if length else -1)
        if length == len(ends):
            ends.append(place)
            members.append(index)
        else:
            ends[length], members[length] = place, index
    found = []
    index = members[-1] if members else -1
    while index >= 0:
        atom, place = common[index]
        found.append((atom, two[place]))
        index = before[index]
    return found[::-1]


class _Frames:
    """Frames of two voices that correspond: those that were allocated in steps which correspond, else the same PFN."""

    def __init__(self) -> None:
        self._second: dict[int, int] = {}
        self._first: dict[int, int] = {}

    def difference(self, one: Atom, two: Atom) -> str:
        """Return what differs in atoms with the same key, in words; empty: nothing."""
        if one.new and two.new:
            self._bind(one.details["frame"], two.details["frame"])
        found = []
        for name in {**one.details, **two.details}:
            first, second = one.details.get(name, "none"), two.details.get(name, "none")
            if not self._alike(first, second):
                found.append(f"{name}: {first} against {second}")
        return "; ".join(found)

    def _bind(self, one: Detail, two: Detail) -> None:
        if isinstance(one, Frame) and isinstance(two, Frame):
            self._second[one.pfn] = two.pfn
            self._first[two.pfn] = one.pfn

    def _alike(self, one: Detail, two: Detail) -> bool:
        if {type(one), type(two)} == {Frame, Address}:
            return True
        if not isinstance(one, Frame) or not isinstance(two, Frame):
            return one == two
        return self._second.get(one.pfn, one.pfn) == two.pfn and self._first.get(two.pfn, two.pfn) == one.pfn
