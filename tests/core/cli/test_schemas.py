# SPDX-License-Identifier: GPL-2.0-only
"""What commands print as JSON fits the schemas of their types."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hvolab.cli.arches_report import ArchitectureData
from hvolab.cli.entry_view import EntryData
from hvolab.cli.new import NewPackage
from hvolab.cli.plugins import PluginData
from hvolab.cli.releases_report import ReleaseReport
from hvolab.scenario import RunData
from hvolab.schema import schema_of
from tests.schemas import faults


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        ("arches x86_64", list[ArchitectureData]),
        ("releases 6.12", list[ReleaseReport]),
        ("plugins", list[PluginData]),
        ("new arch zircon", NewPackage),
        ("pte --arch x86_64 0x8000000012345063", EntryData),
        ("pte --arch riscv 0x1200", EntryData),
        ("run --memory 256M --hugepages 2M=2 --arch riscv", RunData),
    ],
    ids=lambda value: value.split()[0] if isinstance(value, str) else "",
)
def test_json_fits_its_schema(
    command: str, kind: Any, invoke_json: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert faults(schema_of(kind), invoke_json(*command.split())) == []
