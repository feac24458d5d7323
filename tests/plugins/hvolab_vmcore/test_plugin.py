# SPDX-License-Identifier: GPL-2.0-only
"""The plugin adds its commands to a command line."""

from __future__ import annotations

import typer

import hvolab_vmcore


def test_the_hook_adds_its_commands_to_any_command_line() -> None:
    app = typer.Typer()
    hvolab_vmcore.hvolab_commands(app)
    assert [command.name for command in app.registered_commands] == ["inspect", "page", "savings", "replay", "torture"]
