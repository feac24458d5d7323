# SPDX-License-Identifier: GPL-2.0-only
"""The picture in the README shows what the command prints today."""

from __future__ import annotations

import html
import re

import pytest

from docs.hvolab_docs import picture


def test_blocks_are_kept_by_a_word_and_a_picture_by_its_caption() -> None:
    text = "x86_64, 4-level\n\nfolio: freed PFN 1\n\n   drawing\n\ncounter\n\nAll as declared.\n"
    assert picture.cropped(text).plain == "x86_64, 4-level\n\nfolio: freed PFN 1\n\n   drawing\n\nAll as declared."


@pytest.mark.slow
def test_the_picture_shows_the_output_of_its_command() -> None:
    drawn = picture.TARGET.read_text("utf-8")
    assert "@font-face" not in drawn
    shown = html.unescape("".join(re.findall(r"<text [^>]*>([^<]*)</text>", drawn)))
    for word in picture.cropped(picture.output()).plain.split():
        assert word in shown, f"{word} is not in the picture: make picture"
