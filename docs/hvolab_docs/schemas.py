# SPDX-License-Identifier: GPL-2.0-only
"""JSON Schemas of the commands' output, as files: `python -m docs.hvolab_docs` writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hvolab.cli.arches_report import ArchitectureData
from hvolab.cli.entry_view import EntryData
from hvolab.cli.new import NewPackage
from hvolab.cli.plugins import PluginData
from hvolab.cli.releases_report import ReleaseReport
from hvolab.conformance.check import Check
from hvolab.conformance.summary import ConformanceReport
from hvolab.scenario import RunData
from hvolab.schema import schema_of
from hvolab_boot.judging.result import BootReport
from hvolab_explorer.commands.campaign_report import CampaignReport
from hvolab_explorer.commands.report import ExploreReport, ScheduleReport, VocabularyReport
from hvolab_kernel.commands.build_report import BuildReport
from hvolab_kernel.commands.disasm_report import ListingReport
from hvolab_kernel.commands.image_report import ImageReport
from hvolab_kernel.commands.series import PatchReport
from hvolab_kernel.comparison.callers.scenarios import PoolScenarioData
from hvolab_kernel.comparison.report import ComparisonReport
from hvolab_kernel.comparison.scenarios import HvoScenarioData
from hvolab_report.timeline.data import VERSION, TimelineData
from hvolab_unicorn.commands.verify_report import VerifyReport
from hvolab_vmcore.commands.replay_report import ReplayReport
from hvolab_vmcore.commands.report_data import ScanData
from hvolab_vmcore.page.view import PageView
from hvolab_vmcore.savings.savings import SavingsReport
from hvolab_vmcore.torture.answers import TortureAnswers

from .markdown import table

STATIC = Path(__file__).parents[1] / "static"
#: The type of each command's result, as an annotation where it is a list, or where options choose one of several.
RESULTS: dict[str, Any] = {
    "arches": list[ArchitectureData],
    "boot": BootReport,
    "build": BuildReport,
    "conformance": ConformanceReport | list[Check],
    "disasm": ListingReport,
    "explore": ExploreReport | ScheduleReport | CampaignReport | VocabularyReport,
    "image": ImageReport,
    "inspect": ScanData,
    "kernel": ComparisonReport | dict[str, ComparisonReport] | list[HvoScenarioData | PoolScenarioData],
    "new-arch": NewPackage,
    "page": PageView,
    "patch-test": list[PatchReport],
    "plugins": list[PluginData],
    "pte": EntryData,
    "releases": list[ReleaseReport],
    "replay": ReplayReport,
    "run": RunData,
    "savings": SavingsReport,
    "timeline": TimelineData,
    "torture": TortureAnswers,
    "verify": VerifyReport,
}
#: Versions above 1: one rises when a program that reads the former version may fail with the new one.
VERSIONS: dict[str, int] = {"timeline": VERSION}


def version_of(command: str) -> int:
    """Return the version of a command's schema, which its `$id` has."""
    return VERSIONS.get(command, 1)


def path_of(command: str) -> Path:
    """Return the file of a command's schema."""
    return STATIC / f"{command}.schema.json"


def text_of(command: str) -> str:
    """Return the schema of a command's JSON."""
    schema = schema_of(RESULTS[command])
    dialect = {"$schema": schema.pop("$schema"), "$id": f"urn:hvolab:{command}:{version_of(command)}"}
    return json.dumps(dialect | schema, indent=1) + "\n"


def schemas() -> str:
    """Return the table of the published schemas."""
    rows = [
        (f"`{command}`", f"[{path_of(command).name}](static/{path_of(command).name})", str(version_of(command)))
        for command in RESULTS
    ]
    return table(("result", "schema", "version"), rows)
