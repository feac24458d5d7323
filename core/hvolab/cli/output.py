# SPDX-License-Identifier: GPL-2.0-only
"""Output of commands: tables and color for people, JSON for programs.

In JSON, VAs, PAs, PFNs and entries are strings of hex, as people and the kernel write them; counts and sizes in bytes
are numbers.
"""

from __future__ import annotations

import json
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from typing import IO, TYPE_CHECKING, Any, Final, Literal, NoReturn

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table

from hvolab.serialize import as_data

if TYPE_CHECKING:
    from rich.progress import Progress
    from rich.status import Status

#: Columns of output to a file or pipe, unless COLUMNS sets them.
_PLAIN_WIDTH: Final = 100
#: Exit code that a shell reports for a program that SIGPIPE ended.
_PIPE_CLOSED: Final = 141
#: Seconds before progress is shown.
_PATIENCE: Final = 1.0
_FONT_FACE: Final = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


class _Console(Console):
    """A console that ends the program silently when the reader closes the pipe."""

    def on_broken_pipe(self) -> NoReturn:
        """End as SIGPIPE would have."""
        end_of_pipe()


def end_of_pipe() -> NoReturn:
    """End the program as SIGPIPE would have; further output goes to the null device, without an error."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    raise SystemExit(_PIPE_CLOSED)


def console(*, error: bool = False) -> Console:
    """Return a console on the current standard output or standard error.

    It prints plain text, nothing styled, if that is not a terminal or NO_COLOR is set.
    """
    file: IO[str] = sys.stderr if error else sys.stdout
    plain = bool(os.environ.get("NO_COLOR"))
    color: Literal["auto"] | None = None if plain else "auto"
    made = _Console(stderr=error, highlight=False, emoji=False, markup=False, no_color=plain, color_system=color)
    if not made.is_terminal and not os.environ.get("COLUMNS", "").isdecimal():
        made.width = _PLAIN_WIDTH
    reconfigure = getattr(file, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")  # an ASCII terminal shows a question mark, not a traceback
    return made


def show(renderable: RenderableType) -> None:
    """Print output for people; to a file or pipe, without the blanks that fill up its lines."""
    out = console()
    if out.is_terminal:
        out.print(renderable)
        return
    out.print(as_text(renderable, out), soft_wrap=True)


def as_text(renderable: RenderableType, out: Console | None = None) -> str:
    """Return output for people as plain text, without the blanks that fill up its lines.

    out  the console whose width and characters it has; None: those of a file of UTF-8
    """
    out = out or Console(
        file=StringIO(), width=_PLAIN_WIDTH, highlight=False, emoji=False, markup=False, color_system=None
    )
    with out.capture() as captured:
        out.print(renderable)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def as_svg(renderable: RenderableType, title: str, name: str) -> str:
    """Return output for people as a picture of a terminal with a title: SVG that fetches nothing.

    name  prefix of its styles, which may stand next to those of other pictures in a page
    """
    from rich.terminal_theme import MONOKAI

    out = Console(
        record=True, width=_PLAIN_WIDTH, file=StringIO(), force_terminal=True, color_system="truecolor", highlight=False
    )
    out.print(renderable)
    # fonts that would be fetched when the picture is opened: the viewer's own are used instead
    plain = _FONT_FACE.sub("", out.export_svg(title=title, theme=MONOKAI, unique_id=name))
    return plain.replace("Fira Code", "Fira Code, DejaVu Sans Mono, Menlo")


def print_json(data: Any) -> None:
    """Print ``data``, a result or plain data, as JSON, indented, in ASCII, uncolored."""
    console().print(json.dumps(as_data(data), indent=2), soft_wrap=True)


@contextmanager
def progress(text: str, *, quiet: bool = False) -> Iterator[Callable[[str], None]]:
    """Show what is being done on standard error, where that is a terminal and the work takes more than a second.

    Yields the function that replaces the text.
    """
    out = console(error=True)
    if quiet or not out.is_terminal:
        yield lambda _: None
        return
    status = out.status(text)
    with shown_later(status):
        yield status.update


@contextmanager
def shown_later(display: Status | Progress) -> Iterator[None]:
    """Start a display after a while, in a thread of its own, and stop it at the end."""
    timer = threading.Timer(_PATIENCE, display.start)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        display.stop()


def labeled() -> Table:
    """Return an empty grid of two columns: dim labels, and texts."""
    made = Table.grid(padding=(0, 2))
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    return made


def table(*columns: str, right: tuple[str, ...] = (), wrapped: tuple[str, ...] = ()) -> Table:
    """Return an empty table with these columns, those in ``right`` aligned to the right.

    wrapped  columns whose cells are wrapped; others are not, and with such a column none of them is cut
    """
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True)
    for column in columns:
        fold = column in wrapped
        made.add_column(
            column,
            justify="right" if column in right else "left",
            no_wrap=not fold,
            overflow="fold" if fold else "ellipsis",
        )
    return made
