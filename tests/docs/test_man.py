# SPDX-License-Identifier: GPL-2.0-only
"""The man page has what `--help` has, and formatters of man pages read it without a complaint."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from docs.hvolab_docs.commands import texts
from docs.hvolab_docs.man import PAGE, man_page


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text("utf-8")


def test_it_is_what_the_commands_have_now(page: str) -> None:
    assert page == man_page(), "hint: python -m docs.hvolab_docs"


@pytest.mark.parametrize(
    "command", [("groff", "-man", "-ww", "-z"), ("mandoc", "-T", "lint", "-W", "error")], ids=lambda words: words[0]
)
def test_formatters_have_no_complaint(command: tuple[str, ...]) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"there is no {command[0]}: apt-get install {command[0]}")
    done = subprocess.run([*command, str(PAGE)], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_command_option_and_example_is_printed_as_it_is_typed() -> None:
    if shutil.which("groff") is None:
        pytest.skip("there is no groff: apt-get install groff")
    command = ["groff", "-man", "-Tascii", "-P-cbou", "-rLL=400n", "-rHY=0", str(PAGE)]
    printed = " ".join(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())
    wanted = [
        piece
        for text in texts()
        for piece in (text.usage, *text.paragraphs, *(name for name, _ in (*text.arguments, *text.options)))
    ]
    assert [piece for piece in wanted if piece.replace("`", "") not in printed] == []
