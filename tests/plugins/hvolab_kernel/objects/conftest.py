# SPDX-License-Identifier: GPL-2.0-only
"""Tests of objects read the user's cache: it has the images, their headers and the objects compiled before."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def own_cache() -> None:
    """Leave the user's cache as it is set."""
