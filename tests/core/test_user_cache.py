# SPDX-License-Identifier: GPL-2.0-only
"""The folder in the user's cache directory, by the variables that move it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hvolab.user_cache import CACHE_VARIABLE, cache_directory


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({CACHE_VARIABLE: "here", "XDG_CACHE_HOME": "/cache"}, "here"),
        ({CACHE_VARIABLE: "", "XDG_CACHE_HOME": "/cache"}, "/cache/hvolab"),
        ({"XDG_CACHE_HOME": "relative", "HOME": "/users/somebody"}, "/users/somebody/.cache/hvolab"),
        ({"HOME": "/users/somebody"}, "/users/somebody/.cache/hvolab"),
    ],
)
def test_the_folder_is_the_users_unless_it_is_named(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], folder: str
) -> None:
    for name in (CACHE_VARIABLE, "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_directory() == Path(folder)
