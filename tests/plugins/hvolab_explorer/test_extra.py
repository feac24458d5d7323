# SPDX-License-Identifier: GPL-2.0-only
"""The explorer without greenlet."""

from __future__ import annotations

import sys

import pytest

from hvolab.errors import UsageError
from hvolab_explorer.extra import require_greenlet


def test_a_missing_greenlet_is_named_with_the_extra_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    require_greenlet()
    monkeypatch.setitem(sys.modules, "greenlet", None)
    with pytest.raises(UsageError, match="needs greenlet") as caught:
        require_greenlet()
    assert "hvolab[explore]" in str(caught.value)
