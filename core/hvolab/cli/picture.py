# SPDX-License-Identifier: GPL-2.0-only
"""Picture of Documentation/mm/vmemmap_dedup.rst for one folio: its struct pages, and the frames behind them.

One row for each page of vmemmap; one column for each moment: before the batch that optimizes it, optimized, restored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.text import Text

from hvolab.scenario import FolioHistory, VmemmapView

#: Most pages of vmemmap that are all drawn; of more, the first few and the last are.
_ALL: Final = 8
_FIRST: Final = 3
_ARROW: Final = 10  # columns of " ── RW ──▶"
_GAP: Final = "  "
_ASCII: Final = str.maketrans("┌┐└┘│─┤▲▶⋮", "++++|-|^>:")
_LINE: Final = "dim"
#: Title of the first view: of a second pool, the machine is not as boot left it.
_BEFORE: Final = "before"

#: A line: pieces of text, each with its style.
_Line = list[tuple[str, str]]


def draw(history: FolioHistory, width: int, at_end: str = "restored", *, ascii_only: bool = False) -> Text:
    """Draw a folio's vmemmap within ``width`` columns, without the last view if it does not fit.

    at_end  title of the last view
    """
    shown = shown_pages(history.before.pages)
    views = {_BEFORE: history.before, "optimized": history.after, at_end: history.restored}
    pfn_width = max(len(f"{view.frame(page):#x}") for view in views.values() for page in shown if page is not None)
    blocks = [_struct_pages(history.before, shown)]
    freed = history.before.frames() - history.after.frames()
    blocks += [_frames(title, view, shown, pfn_width, freed) for title, view in views.items()]
    while len(blocks) > 2 and sum(map(_width, blocks)) + len(_GAP) * (len(blocks) - 1) > width:
        blocks.pop()
    text = Text(no_wrap=True)
    for lines in zip(*blocks, strict=True):
        for line, block in zip(lines, blocks, strict=True):
            used = sum(len(piece) for piece, _ in line)
            for piece, style in line:
                text.append(piece, style)
            text.append(" " * (_width(block) - used) + _GAP)
        text.append("\n")
    text.rstrip()
    if ascii_only:
        text.plain = text.plain.translate(_ASCII)
    return text


def shown_pages(pages: int) -> list[int | None]:
    """Return the numbers of the pages of vmemmap that are drawn; ``None`` stands for those left out."""
    if pages <= _ALL:
        return list(range(pages))
    return [*range(_FIRST), None, pages - 1]


def _width(block: Sequence[_Line]) -> int:
    return max(sum(len(piece) for piece, _ in line) for line in block)


def _struct_pages(view: VmemmapView, shown: Sequence[int | None]) -> list[_Line]:
    """Draw the left box: number and VA of each page of vmemmap."""
    digits = len(str(view.pages - 1))
    vas = {page: f"{view.va + page * view.page_size:#x}" for page in shown if page is not None}
    inner = max(map(len, vas.values())) + 2
    margin = " " * (digits + 1)
    lines: list[_Line] = [[(f"{margin}vmemmap", "bold")], [(f"{margin}┌{'─' * inner}┐", _LINE)]]
    for page in shown:
        if page is None:
            left_out = f"⋮ {view.pages - _FIRST - 1} more"
            lines.append([(f"{margin}│", _LINE), (f"{left_out:^{inner}}", _LINE), ("│", _LINE)])
        else:
            lines.append([(f"{page:>{digits}} ", _LINE), ("│", _LINE), (f" {vas[page]} ", ""), ("│", _LINE)])
    lines.append([(f"{margin}└{'─' * inner}┘", _LINE)])
    part = "part of " * (view.va % view.page_size != 0)
    lines.append([(f"{margin}{part}{view.pages} page{'s' * (view.pages != 1)}", _LINE)])
    return lines


def _frames(
    title: str, view: VmemmapView, shown: Sequence[int | None], pfn_width: int, freed: frozenset[int]
) -> list[_Line]:
    """Draw a column: the mapping of each page and the frame behind it, tails that share the head's frame as a bus.

    freed  frames that no longer back the vmemmap once it is optimized
    """
    frames = {page: view.frame(page) for page in shown if page is not None}
    tails = [frame for page, frame in frames.items() if page]
    shared = bool(tails) and set(tails) == {frames[0]}
    indent, rule = " " * _ARROW, "─" * (pfn_width + 2)
    lines: list[_Line] = [[(f"{indent}{title}", "bold")], [(f"{indent}┌{rule}┐", _LINE)]]
    for page in shown:
        if shared and page != 0:
            lines.append(_tail(view, page, pfn_width, first=page == 1))
        elif page is None:
            lines.append([(f"{'⋮':^{_ARROW}}│{'⋮':^{pfn_width + 2}}│", _LINE)])
        else:
            style = "magenta" if title == _BEFORE and frames[page] in freed else "cyan"
            frame = f" {frames[page]:#x}".ljust(pfn_width + 2)
            lines.append([*_mapping(view, page), ("▶", _LINE), ("│", _LINE), (frame, style), ("│", _LINE)])
    bus = f"{indent[:-1]}└{'─' * (pfn_width // 2 + 1)}┘"
    lines.append([(bus if shared else f"{indent}└{rule}┘", _LINE)])
    mapped_by = " + ".join(f"{count} {level}" for level, count in view.mapped_by().items())
    lines.append([(f"{indent}{mapped_by}", _LINE)])
    return lines


def _tail(view: VmemmapView, page: int | None, pfn_width: int, *, first: bool) -> _Line:
    """Draw a row of the bus from tails to the head's frame."""
    middle = pfn_width // 2  # the column below a frame at which the bus joins it
    joint, below = "┤", f"{' ' * (middle + 1)}│"
    if first:
        joint, below = "┐", f"└{'─' * middle}▲{'─' * (pfn_width + 1 - middle)}┘"
    if page is None:
        return [(f"{'⋮':^{_ARROW - 1}}│{below}", _LINE)]
    return [*_mapping(view, page, shared=True), (joint + below, _LINE)]


def _mapping(view: VmemmapView, page: int, *, shared: bool = False) -> _Line:
    """Draw the mapping of a page without the head of its arrow; a shared frame should be read-only."""
    word, style = "RO", "bold yellow"
    if view.run_of(page).writable:
        word, style = "RW", "bold red" if shared else "green"
    return [(" ── ", _LINE), (word, style), (" ──", _LINE)]
