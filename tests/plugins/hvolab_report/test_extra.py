# SPDX-License-Identifier: GPL-2.0-only
"""The report without its libraries."""

from __future__ import annotations

import sys

import pytest

from hvolab.errors import UsageError
from hvolab_report.extra import require


def test_a_missing_library_is_named_with_the_extra_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    require("json", "anything")
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(UsageError, match="the timeline needs jinja2") as caught:
        require("jinja2", "the timeline")
    assert "pip install 'hvolab[report]'" in str(caught.value)
