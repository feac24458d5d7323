# SPDX-License-Identifier: GPL-2.0-only
"""`hvolab releases`: every release, one release, JSON, widths."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hvolab.release import DEFAULT, RELEASES
from tests.core.cli.conftest import Invoke


def test_every_change_is_shown_with_its_commit(invoke: Invoke) -> None:
    text = " ".join(invoke("releases").stdout.split())
    for release in RELEASES:
        for change in release.changes:
            assert f"{change.sentence} {change.commit or 'commit not known'}" in text


@pytest.mark.parametrize("release", RELEASES, ids=str)
def test_a_named_release_is_shown_alone(invoke: Invoke, release: Any) -> None:
    lines = invoke("releases", release.name).stdout.splitlines()
    assert lines[0].startswith(f"{release.name} (default)  " if release is DEFAULT else f"{release.name}  ")
    assert lines[1].startswith(f"  {release.summary[:20]}")
    other = next(each for each in RELEASES if each is not release)
    assert not any(line.startswith(f"{other.name} ") for line in lines)


def test_entry_bits_of_an_architecture_are_shown_with_the_commit(invoke: Invoke) -> None:
    text = " ".join(invoke("releases", "6.12").stdout.split())
    changed = "x86_64 PAGE_KERNEL_RO is 0x8000000000000121 instead of 0x8000000000000161: D=0."
    assert f'{changed} f788b71768ff ("x86/mm: Remove _PAGE_DIRTY from kernel RO pages", v6.6)' in text


def test_a_change_without_a_commit_has_its_source(invoke: Invoke) -> None:
    text = " ".join(invoke("releases", "mm-2026").stdout.split())
    assert "only on arm64" in text
    assert "series of 2026 (not in a release)" in text


@pytest.mark.parametrize("width", [80, 120])
def test_no_line_is_wider_than_the_terminal_or_has_blanks_at_its_end(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    lines = invoke("releases").stdout.splitlines()
    assert max(map(len, lines)) <= width
    assert [line for line in lines if line != line.rstrip()] == []


def test_json_has_the_release_before_and_null_for_an_unknown_commit(invoke_json: Callable[..., Any]) -> None:
    data = {each["name"]: each for each in invoke_json("releases")}
    assert list(data) == [release.name for release in RELEASES]
    assert [name for name, each in data.items() if each["default"]] == [DEFAULT.name]
    assert (data["6.1"]["before"], data["6.12"]["before"], data["6.1"]["differences"]) == (None, "6.1", [])
    assert data["mm-2026"]["architectures"] == ["arm64"]
    assert [(one["part"], one["commit"]) for one in data["mm-2026"]["differences"]][-1] == ("arm64", None)


def test_an_unknown_release_is_refused_with_those_that_exist(invoke: Invoke) -> None:
    result = invoke("releases", "5.4")
    assert result.exit_code == 2
    assert "choose one of 6.1, " in result.stderr
