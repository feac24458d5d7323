# SPDX-License-Identifier: GPL-2.0-only
"""Command: explore every historic bug, and write the table of docs/explorer.md. It takes a minute."""

from __future__ import annotations

from tests.plugins.hvolab_explorer.historic.table import write

write()
