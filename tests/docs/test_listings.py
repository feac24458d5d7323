# SPDX-License-Identifier: GPL-2.0-only
"""Every listing of every page, and of the README, is carried out as by a stranger, and prints what it shows.

A stranger has what the page says to install, in a fresh virtual environment, and a clean environment.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.desk import DOCS, Desk, check_shown, commands, desk_for, listings, pages
from tests.docs.stranger import ROOT, StrangerRoom, clean_environment, extras_named

README = ROOT / "README.md"
#: `text` and `toml` are neither a command nor Python; a directive of Sphinx has no language.
LANGUAGES = {"", "console", "diff", "pycon", "python", "text", "toml"}
#: A listing of these is carried out, and so is a diff.
RUN = {"console", "pycon", "python"}
#: A page with a diff is carried out in a copy of the tree, in the test of that page.
SHOWN = {page: {listing.language for listing in listings(page)} for page in pages()}
SHOWING = [page for page, languages in SHOWN.items() if languages & RUN and "diff" not in languages]
#: Commands in a line of the README, outside of its listings.
INLINE = re.compile(r"`(hvolab [^`]+)`")
#: Those that need a kernel image, which a desk does not have, and those that a tox environment runs.
ELSEWHERE = ("hvolab boot ", "hvolab conformance", "hvolab kernel ")
#: Where `make demo` installs what the README's commands need.
MADE_BY_DEMO = ".venv/bin"


@pytest.mark.slow
@pytest.mark.parametrize("page", SHOWING, ids=lambda page: page.stem)
def test_who_follows_a_page_gets_what_it_shows(page: Path, stranger_room: StrangerRoom, tmp_path: Path) -> None:
    desk_for(page, stranger_room, tmp_path).follow(page)


@pytest.mark.slow
def test_who_types_the_commands_of_the_readme_gets_a_result(tmp_path: Path) -> None:
    assert f"export PATH=$PWD/{MADE_BY_DEMO}:$PATH" in README.read_text("utf-8")
    desk = Desk(tmp_path, tmp_path / "desk" / MADE_BY_DEMO, tree=True)
    desk.bring()
    desk.follow(README)
    assert (desk.folder / "build" / "demo.html").is_file()
    typed = [command for command in INLINE.findall(README.read_text("utf-8")) if not command.startswith(ELSEWHERE)]
    assert len(typed) >= 9
    for command in typed:
        desk.run(command, codes={0, 1})
    assert (desk.folder / "run.html").is_file()


@pytest.mark.parametrize("page", [README, *pages()], ids=lambda page: page.relative_to(ROOT).as_posix())
def test_no_listing_escapes(page: Path) -> None:
    text = page.read_text("utf-8")
    assert {listing.language for listing in listings(page)} <= LANGUAGES
    fences = [line for line in text.splitlines() if line.startswith("```")]
    assert len(fences) == 2 * len(listings(page))
    assert all(listing.language or listing.file.startswith("{") for listing in listings(page))
    assert all(listing.text.startswith("$ ") for listing in listings(page) if listing.language == "console")
    assert all(listing.text.startswith(">>> ") for listing in listings(page) if listing.language == "pycon")


def test_pages_that_teach_show_something() -> None:
    assert {DOCS / f"{name}.md" for name in ("authoring", "conformance", "tour", "vmcores")} <= set(SHOWING)


def test_a_stranger_has_nothing_of_the_runner(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("HVOLAB_CACHE_DIR", "kept")
    monkeypatch.setenv("PIP_INDEX_URL", "fetched")
    environment = clean_environment(tmp_path, "/one", "/two")
    assert environment.keys().isdisjoint({"PYTHONPATH", "HVOLAB_CACHE_DIR"})
    assert (environment["HOME"], environment["PATH"], environment["PIP_INDEX_URL"]) == (
        str(tmp_path),
        "/one:/two",
        "fetched",
    )


def test_a_page_names_its_extras_in_commands() -> None:
    text = "`pip install 'hvolab[b,a]'`, $ pip install --editable '.[c]', but not hvolab[d]"
    assert extras_named(text) == ["a", "b", "c"]


def test_a_command_goes_on_in_the_next_line_after_a_backslash() -> None:
    assert commands("$ one \\\n  two\nprinted\n$ three\n") == [("one \\\n  two", ["printed"]), ("three", [])]


def test_what_is_shown_must_be_printed_in_that_order() -> None:
    check_shown("command", ["a  b", "d"], "a\nb c\nd\n")
    with pytest.raises(AssertionError, match="does not print"):
        check_shown("command", ["d", "a b"], "a b c d")
