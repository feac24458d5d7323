# SPDX-License-Identifier: GPL-2.0-only
"""The search for words that break the rules: what it reads, what it finds, how it says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import plain_words
from tests.plain_words import BANS, OPENING, RULES, Finding, Text

SOURCE = '''"""The module."""

NAME = "oneword"  # a comment


def function(value):
    """Return it.

    More of it.
    """
    return f"{value} is wrong"
'''


def test_docstrings_comments_and_strings_of_several_words_are_read() -> None:
    assert set(plain_words.texts_of_module(SOURCE)) == {
        Text(1, "docstring", "The module."),
        Text(3, "comment", "# a comment"),
        Text(7, "docstring", "Return it.\n\n    More of it.\n    "),
        Text(11, "string", " is wrong"),
    }


def test_code_on_a_page_is_no_prose() -> None:
    page = "One `code` two\n\n```\nfenced\n```\n    indented\nthree\n"
    assert [text.words for text in plain_words.texts_of_page(page) if text.words] == ["One  two", "three"]


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        ("the number is told", 5),
        ("a frame beside the head", 5),
        ("so many pages are asked for", 3),
        ("it faults, as foretold", 3),
        ("the engine hears of a flush", 4),
        ("nobody has the frame", 4),
        ("the entry is no leaf", 5),
        ("it differs otherwise than it should; the other is otherwise", 5),
        ("the sum comes out", 5),
        ("the page stays as it is", 5),
        ("the frame lies in the zone", 5),
        ("equal up to a renaming", 5),
        ("what to do: nothing", 6),
        ("its behaviour", 7),
        ("is optimised", 7),
        ("a stand-in for printk()", 0),
    ],
)
def test_banned_words_are_found_with_their_rule(words: str, rule: int) -> None:
    assert [ban.rule for _, ban in plain_words.broken(Text(1, "comment", words))] == [rule]


@pytest.mark.parametrize(
    "words",
    [
        "a bedside table",
        "there are none",
        "reports the frame",
        "its behavior",
        "teller",
        "cannot tell of up to 64",
        "it is not a leaf",
        "in order",
    ],
)
def test_other_words_are_not(words: str) -> None:
    assert list(plain_words.broken(Text(1, "comment", words))) == []


@pytest.mark.parametrize("word", ["What", "Which", "Whether", "Who", "Whose", "How", "Where", "Says", "Tells", "Give"])
def test_an_opening_is_banned_in_docstrings_alone(word: str) -> None:
    words = f"{word} it does."
    assert OPENING in [ban for _, ban in plain_words.broken(Text(1, "docstring", words))]
    assert OPENING not in [ban for _, ban in plain_words.broken(Text(1, "string", words))]


def test_a_finding_names_place_rule_and_better_words() -> None:
    text = Text(7, "comment", "# nobody")
    ((words, ban),) = plain_words.broken(text)
    assert str(Finding(Path("core/x.py"), text, words, ban)) == (
        'core/x.py:7: comment: \'nobody\' (Rules, 4: only people are "who"; code is "which" or is named); '
        "hint: write the name of the code or the person"
    )


def test_every_ban_has_a_rule_or_stands_among_the_names() -> None:
    for ban in (OPENING, *BANS):
        assert (ban.rule in RULES) == (ban.section == "Rules")
        assert ban.better


def test_a_file_is_searched_for_banned_words_and_openings() -> None:
    source = '"""Which it is."""\n# nobody\nNAME = "it is no page"\nOTHER = "fine words"\n'
    found = [(finding.text.line, finding.words) for finding in plain_words.findings_in(Path("core/x.py"), source)]
    assert sorted(found) == [(1, "Which"), (2, "nobody"), (3, "is no p")]
    assert list(plain_words.findings_in(Path("x.md"), "`nobody` has\n")) == []


@pytest.mark.slow
def test_tests_are_not_searched_and_pages_are() -> None:
    files = {path.as_posix() for path in plain_words.files()}
    assert {"README.md", "core/hvolab/errors.py", "docs/index.md"} <= files
    assert not [name for name in files if "tests/" in name]
