# SPDX-License-Identifier: GPL-2.0-only
"""Wide terminal for all tests of dumps: where lines break is no part of them."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
