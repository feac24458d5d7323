# SPDX-License-Identifier: GPL-2.0-only
"""JSON Schemas of the commands' output, as files: `python -m docs.hvolab_docs.schemas` writes them."""

from __future__ import annotations

import json
from pathlib import Path

from hvolab.schema import schema_of
from hvolab_boot.judging.result import BootReport
from hvolab_report.timeline.data import TimelineData
from hvolab_vmcore.commands.report_data import ScanData
from hvolab_vmcore.page.view import PageView
from hvolab_vmcore.savings.savings import SavingsReport
from hvolab_vmcore.torture.answers import TortureAnswers

STATIC = Path(__file__).parents[1] / "static"
#: The type of each command's result.
RESULTS: dict[str, type] = {
    "boot": BootReport,
    "inspect": ScanData,
    "page": PageView,
    "savings": SavingsReport,
    "timeline": TimelineData,
    "torture": TortureAnswers,
}


def path_of(command: str) -> Path:
    """Return the file of a command's schema."""
    return STATIC / f"{command}.schema.json"


def text_of(command: str) -> str:
    """Return the schema of a command's JSON."""
    return json.dumps(schema_of(RESULTS[command]), indent=1) + "\n"


def main() -> None:
    """Write all schemas."""
    for command in RESULTS:
        path_of(command).write_text(text_of(command), "utf-8")


if __name__ == "__main__":
    main()
