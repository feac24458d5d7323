# SPDX-License-Identifier: GPL-2.0-only
"""The commands of the plugin: added by its hook, and ended with a sentence where an image cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

import hvolab_kernel
from tests.plugins.hvolab_kernel.cli_runner import hvolab


def test_the_hook_adds_its_commands_to_any_command_line() -> None:
    app = typer.Typer()
    hvolab_kernel.hvolab_commands(app)
    assert [command.name for command in app.registered_commands] == [
        "image",
        "disasm",
        "kernel",
        "build",
        "watch",
        "patch-test",
    ]


@pytest.mark.parametrize("arguments", [("image",), ("disasm", "vmemmap_remap_pte")])
@pytest.mark.parametrize(
    ("content", "what"), [(b"no kernel", "unknown kernel format"), (None, "the file cannot be opened")]
)
def test_what_cannot_be_read_ends_with_a_sentence_and_2(
    arguments: tuple[str, ...], content: bytes | None, what: str, tmp_path: Path
) -> None:
    path = tmp_path / "vmlinuz"
    if content is not None:
        path.write_bytes(content)
    result = hvolab(arguments[0], path, *arguments[1:])
    assert result.exit_code == 2
    assert what in result.stderr
