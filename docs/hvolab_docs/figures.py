# SPDX-License-Identifier: GPL-2.0-only
"""Figures for slides: pictures of the timeline's own page at some moments, as SVG. `make figures` draws them again."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

from hvolab_report.timeline.page import page_of

from .timelines import data_of, moment

FOLDER: Final = Path(__file__).parents[1] / "static" / "slides"
#: Name of each figure: run and moment.
FIGURES: Final = {
    "1-before": ("optimize", "start"),
    "2-split": ("optimize", "split"),
    "3-remap": ("optimize", "remap"),
    "4-free": ("optimize", "free"),
    "5-restore": ("optimize", "restore"),
    "6-after": ("optimize", "restored"),
}
_LICENSE: Final = "<!-- SPDX-License-Identifier: GPL-2.0-only -->\n"


def figures(chromium: str) -> dict[str, str]:
    """Return the figures by name, drawn by a browser; needs the extra `browser`."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - of that extra

    found = {}
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(color_scheme="light", reduced_motion="reduce")
        for name, (run, at) in FIGURES.items():
            file = Path(folder, f"{run}.html")
            file.write_text(page_of(data_of(run)), "utf-8")
            (voice,) = data_of(run)["voices"]
            page.goto(file.as_uri())
            page.evaluate("number => { show(number - 1); show(number); }", moment(voice, at))  # its changes are marked
            found[name] = _LICENSE + page.evaluate("svgText(get('picture').firstElementChild)") + "\n"
        browser.close()
    return found


def main() -> int:
    """Write the figures."""
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.stderr.write("no Chromium: apt-get install chromium\n")
        return 2
    FOLDER.mkdir(exist_ok=True)
    for name, text in figures(chromium).items():
        (FOLDER / f"{name}.svg").write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
