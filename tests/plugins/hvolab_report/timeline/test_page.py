# SPDX-License-Identifier: GPL-2.0-only
"""The page as a file; what it does in a browser is tested in `test_browser.py`."""

from __future__ import annotations

import re

from hvolab_report.timeline.page import page_of
from tests.plugins.hvolab_report.runs import data


def test_a_page_needs_nothing_but_itself() -> None:
    page = page_of(data())
    assert not re.search(r"""(?:src|href)\s*=\s*["']?(?!#)|url\(|@import|https?://(?!www\.w3\.org)""", page)


def test_no_text_of_the_data_ends_the_element_that_holds_them() -> None:
    page = page_of({**data(), "title": "</script><b>&"})
    assert "</script><b>" not in page
    assert "&lt;/script&gt;" in page
