# SPDX-License-Identifier: GPL-2.0-only
"""Invariant of the struct pages of folios."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from hvolab.arithmetic import WORD_BYTES, WORD_SHIFT
from hvolab.invariants.faults import restored_as_heads
from hvolab.invariants.invariant import LISTED, Handlers, Invariant, Report
from hvolab.invariants.survey import Folios, Pfns, Survey, place_bits
from hvolab.machine import Machine
from hvolab.release import StructPageLayout
from hvolab.trace import EntriesStored, FolioStep

_Words = npt.NDArray[np.uint64]

#: Vmemmap pages of folios that are checked at once: 16 MiB of struct pages.
_PAGES: Final = 1 << 12


class _Wrong(NamedTuple):
    """Struct pages that are wrong in the same way.

    what    the sentence of a finding
    field   the field that is wrong
    known   whether a known fault of the release makes them so
    places  page, struct page in it, and word, of the first few
    """

    what: str
    field: str
    known: bool
    places: list[tuple[int, int, int]]


class _Tails(NamedTuple):
    """Words that the tails in each of several pages of vmemmap have; of flags only node and zone count."""

    compound_head: _Words
    flags: _Words
    mapping: _Words

    def wrong(
        self, words: _Words, layout: StructPageLayout, *, first: int = 0, used: int = 0, predicted: int = 0
    ) -> Iterator[_Wrong]:
        """Yield what is wrong in ``words``, of shape (pages, struct pages, words).

        first      first struct page of each page that is a tail
        used       struct pages of each page whose mapping hugetlb uses
        predicted  struct pages of each page that the release's code makes wrong
        """
        all_bits = (1 << 64) - 1
        for what, field, mask, start in (
            ("does not point to its head", "compound_head", all_bits, first),
            ("is of another node or zone than its head", "flags", place_bits(layout), first),
            ("has no TAIL_MAPPING", "mapping", all_bits, max(first, used)),
        ):
            found, expected = words[:, :, getattr(layout, field) >> WORD_SHIFT], getattr(self, field)[:, None]
            differs = (found ^ expected) & np.uint64(mask) != 0
            differs[:, :start] = False
            places = np.argwhere(differs)
            for known in (False, True):
                part = places[(places[:, 1] < predicted) == known][:LISTED]
                if part.size:
                    yield _Wrong(
                        what, field, known, [(row, slot, int(found[row, slot])) for row, slot in part.tolist()]
                    )


def _check_content(survey: Survey, report: Report) -> None:
    """Each struct page of a folio equals its model, and the head's content is not changed.

    At rest, a head has `PG_head`; each tail that can be read points to its head, is in the head's node and zone, and
    has `TAIL_MAPPING` unless hugetlb uses the field, or the release does not set it in gigantic folios. So has each
    tail in a page that the tails of a zone and order share. While folios are optimized and restored, the bytes of a
    folio's head page stay the same, except the optimized flag; each restored tail is as the last tail of the head page.

    A release that restores tails as copies of the head's struct pages breaks the rule: a known fault.
    """
    pages = survey.machine.struct_pages
    head_bit = np.uint64(1 << pages.layout.pg_head)
    for folios in survey.chunks():
        pfns, sizes = folios.pfns, survey.sizes(folios)
        heads = pages.words(pfns, pages.layout.flags)
        for row in np.flatnonzero(heads & head_bit == 0)[:LISTED].tolist():
            report(f"the head of folio PFN {int(pfns[row]):#x} has no PG_head", _va(survey, pfns[row]))
        _check_pages(survey, folios, range(1), report)
        others = Folios(folios.order, pfns[~survey.optimized(pfns)])
        count = sizes.pages if others.pfns.size and not pages.layout.straddles else 0
        step = max(1, _PAGES // max(1, others.pfns.size))
        for first in range(1, count, step):
            _check_pages(survey, others, range(first, min(first + step, count)), report)
    _check_shared(survey, report)


def _check_pages(survey: Survey, folios: Folios, pages: range, report: Report) -> None:
    """Check the tails in these vmemmap pages of each folio at once; all where struct pages straddle pages.

    pages  the first page, or others
    """
    machine, layout, pfns = survey.machine, survey.machine.struct_pages.layout, folios.pfns
    per_page, words = _tails_of_pages(survey, folios, pages)
    links = [layout.tail_link(machine.struct_pages.va(int(pfn)), folios.order) for pfn in pfns]
    tails = _Tails(
        np.tile(np.array(links, dtype=np.uint64), len(pages)),
        np.tile(machine.struct_pages.words(pfns, layout.flags), len(pages)),
        np.full(pfns.size * len(pages), layout.tail_mapping, dtype=np.uint64),
    )
    predicted, fault = restored_as_heads(machine)
    first = {"predicted": predicted} if pages.start else {"first": 1, "used": layout.used_subpages}
    if not layout.gigantic_tail_mapping and any(
        pool.h.gigantic and pool.h.order == folios.order for pool in survey.pools
    ):
        first["used"] = per_page
    for wrong in tails.wrong(words, layout, **first):
        for row, slot, word in wrong.places:
            page, folio = divmod(row, pfns.size)
            number = pages[page] * per_page + slot
            what = f"tail {number} of folio PFN {int(pfns[folio]):#x} {wrong.what}"
            report(what, f"{_va(survey, pfns[folio] + number)}, {wrong.field} {word:#x}", fault=fault * wrong.known)


def _tails_of_pages(survey: Survey, folios: Folios, numbers: range) -> tuple[int, _Words]:
    """Return how many struct pages of each folio a vmemmap page has, and their words, as :func:`_page_words`.

    The first rows are those of the first page of each folio, by their number in the folio.
    """
    machine, pfns, count = survey.machine, folios.pfns, 1 << folios.order
    pages = machine.struct_pages
    if pages.layout.straddles:
        each = (pfns[:, None] + np.arange(count)).ravel()
        words = np.stack([pages.words(each, number * WORD_BYTES) for number in range(pages.layout.words)], axis=-1)
        return count, words.reshape(pfns.size, count, -1)
    per_page = min(survey.sizes(folios).reserve_pages, count)
    words = _page_words(machine, survey.frames[np.add.outer(np.array(numbers), survey.positions(pfns)).ravel()])
    if per_page < words.shape[1]:  # the vmemmap page is shared: take each folio's own part
        starts = (pfns - pages.first_pfn) % words.shape[1]
        words = words[np.arange(pfns.size)[:, None], starts[:, None] + np.arange(per_page)]
    return per_page, words


def _check_shared(survey: Survey, report: Report) -> None:
    """Check the tails in the pages that the tails of each zone and order share."""
    machine, layout = survey.machine, survey.machine.struct_pages.layout
    for (node, zone, order), pfn in machine.vmemmap_tails.items():
        words = _page_words(machine, np.array([pfn], dtype=np.int64))
        values = layout.tail_link(0, order), layout.links(node, zone), layout.tail_mapping
        tails = _Tails(*(np.array([value], dtype=np.uint64) for value in values))
        for wrong in tails.wrong(words, layout):
            for _, slot, word in wrong.places:
                report(
                    f"a tail that folios of order {order} share {wrong.what}",
                    f"node {node}, zone {layout.zones[zone]}, PFN {pfn:#x}, tail {slot}, {wrong.field} {word:#x}",
                )


def _page_words(machine: Machine, frames: Pfns) -> _Words:
    """Return the words of frames with struct pages, shape (frames, struct pages, words)."""
    words: _Words = machine.memory.pages[frames - machine.memory.first_pfn]
    return words.reshape(frames.size, -1, machine.struct_pages.layout.words)


def _va(survey: Survey, pfn: int) -> str:
    return f"VA {survey.machine.struct_pages.va(int(pfn)):#x}"


class _History:
    """Head pages at the beginning of an operation, and the tail pages that the operation restores."""

    def __init__(self, machine: Machine, report: Report) -> None:
        self._machine = machine
        self._report = report
        self._pages = machine.struct_pages
        self._layout = machine.struct_pages.layout
        self._mode = machine.target.mode
        self._head_pages: dict[int, npt.NDArray[np.uint8]] = {}
        self._entries: dict[int, int] = {}  # the last entry stored for each VA

    def step(self, event: FolioStep) -> None:
        """Compare the head page at the end with that at the beginning, and the restored tails with its last tail."""
        now = self._head_page(event.folio)
        if event.step.endswith("begin"):
            self._head_pages[event.folio] = now
            self._entries.clear()
            return
        changed = np.flatnonzero(self._head_pages.pop(event.folio, now) != now)
        if changed.size:
            where = f"folio VA {event.folio:#x}, byte {int(changed[0]):#x}"
            self._report("the content of a folio's head page changed", where)
        if event.step == "restore.end" and not event.result:
            self._check_tails(event.folio, now.view(self._machine.memory.words.dtype).reshape(-1, self._layout.words))

    def entries(self, event: EntriesStored) -> None:
        """Record entries of the last level that were stored."""
        if event.live and event.level == self._mode.last.name:
            vas = range(event.va, event.va + event.after.size * self._mode.page_size, self._mode.page_size)
            self._entries.update(zip(vas, event.after.tolist(), strict=True))

    def _head_page(self, folio: int) -> npt.NDArray[np.uint8]:
        """Return the bytes of a folio's first vmemmap page as the tables map it, without the optimized flag."""
        pages, machine = self._pages, self._machine
        offset = int(pages.locate(np.array([pages.pfn(folio)], dtype=np.int64))[0])
        octets = machine.memory.octets[offset : offset + self._mode.page_size].copy()
        words = octets.view(machine.memory.words.dtype)
        words[pages.layout.private // WORD_BYTES] &= ~np.uint64(1 << pages.layout.hpg_vmemmap_optimized)
        return octets

    def _check_tails(self, folio: int, head_page: _Words) -> None:
        """Compare the pages that were restored, without the head page, with the last tail of the head page."""
        machine, layout = self._machine, self._layout
        model = [head_page[-1, getattr(layout, field) >> WORD_SHIFT] for field in _Tails._fields]
        self._entries.pop(folio, None)
        if not int(model[0]) & 1 or not self._entries:  # not a compound page, or without tails to restore
            return
        vas, raws = list(self._entries), np.array(list(self._entries.values()), dtype=np.uint64)
        words = _page_words(machine, machine.target.page_frames(raws))
        tails = _Tails(*(np.full(raws.size, word) for word in model))
        predicted, fault = restored_as_heads(machine)
        for wrong in tails.wrong(words, layout, predicted=predicted):
            row, slot, word = wrong.places[0]
            va = vas[row] + slot * layout.size
            self._report(
                f"a restored tail {wrong.what}",
                f"folio VA {folio:#x}, tail {(va - folio) // layout.size} at VA {va:#x}, {wrong.field} {word:#x}",
                fault=fault * wrong.known,
            )


def _watch_content(machine: Machine, report: Report) -> Handlers:
    history = _History(machine, report)
    return {FolioStep: history.step, EntriesStored: history.entries}


CONTENT = Invariant(5, "content", state=_check_content, history=_watch_content)
