# SPDX-License-Identifier: GPL-2.0-only
"""What commands print as JSON fits their published schemas."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.schemas import faults, published


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("arches", "arches x86_64"),
        ("conformance", "conformance --list"),
        ("releases", "releases 6.12"),
        ("plugins", "plugins"),
        ("new-arch", "new arch zircon"),
        ("pte", "pte --arch x86_64 0x8000000012345063"),
        ("pte", "pte --arch riscv 0x1200"),
        ("run", "run --memory 256M --hugepages 2M=2 --arch riscv"),
    ],
)
def test_json_fits_the_published_schema(
    name: str, command: str, invoke_json: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert faults(published(name), invoke_json(*command.split())) == []
