# SPDX-License-Identifier: GPL-2.0-only
"""The page of a timeline, made from the package's templates: one file, with its styles, scripts and data in it."""

from __future__ import annotations

import json
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

#: Scripts of a page, in order: each may use those before it.
SCRIPTS: Final = ("data.js", "view.js", "controls.js")
#: The last script: of a page of one voice, and of one of two.
ONE_VOICE, TWO_VOICES = "main.js", "pair.js"


def page_of(data: Any) -> str:
    """Return the page of a timeline's data; of two voices, they are side by side."""
    environment = Environment(
        loader=PackageLoader("hvolab_report", "timeline/templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # within a script element, "<" could end it
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")
    pair = len(data["voices"]) > 1
    scripts = (*SCRIPTS, TWO_VOICES if pair else ONE_VOICE)
    return environment.get_template("timeline.html").render(data=text, title=data["title"], scripts=scripts, pair=pair)
