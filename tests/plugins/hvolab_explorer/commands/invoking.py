# SPDX-License-Identifier: GPL-2.0-only
"""The command line with the explorer, also in a checkout whose entry points are not installed."""

from __future__ import annotations

from typer.testing import CliRunner, Result

import hvolab_explorer
from hvolab.cli.app import build_app
from hvolab.plugin import registry


def invoke(*words: str) -> Result:
    """The result of `hvolab explore` on x86_64."""
    app = build_app()
    if "explore" not in {command.name for command in app.registered_commands}:
        registry().register(hvolab_explorer, "explorer")
        app = build_app()
    return CliRunner().invoke(app, ["explore", "--arch", "x86_64", *words])
