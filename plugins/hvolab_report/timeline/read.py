# SPDX-License-Identifier: GPL-2.0-only
"""Reading of saved steps, from the file of `--trace` or from a timeline."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from hvolab.errors import UsageError
from hvolab_report.timeline.data import SCHEMA, VERSION

#: The data in a page.
_IN_PAGE = re.compile(r'<script type="application/json" id="timeline">(.*?)</script>', re.DOTALL)


def read_data(path: Path) -> Any:
    """Return the data of a file; raises UsageError for a file that has none, or that of another version."""
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}", hint="name a file that --trace wrote") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not text", hint="name a file that --trace wrote") from error
    found = _IN_PAGE.search(text)
    try:
        data = json.loads(found[1] if found else text)
    except ValueError as error:
        raise UsageError(f"{path} is neither JSON nor a timeline: {error}", hint="name a file of --trace") from error
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise UsageError(f"{path} has no steps", rule=f"its schema is {SCHEMA}", hint="name a file that --trace wrote")
    if data.get("version") != VERSION:
        what = f"{path} has version {data.get('version')} of {SCHEMA}"
        raise UsageError(what, rule=f"this hvolab reads version {VERSION}", hint="record the steps again")
    return data
