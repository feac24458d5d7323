# SPDX-License-Identifier: GPL-2.0-only
"""The container file names what the project has."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "contrib/container"


def test_its_extras_are_extras_of_the_project_and_the_page_has_each() -> None:
    named = re.findall(r"hvolab-\*\.whl\)\[([\w,-]+)\]", (FOLDER / "Containerfile").read_text("utf-8"))
    extras = named[0].split(",")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert set(extras) <= set(project["optional-dependencies"])
    page = (FOLDER / "README.md").read_text("utf-8")
    assert [extra for extra in extras if f"`{extra}`" not in page] == []


def test_its_python_is_one_that_is_supported() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    images = re.findall(r"^FROM \S+/python:(3\.\d+)", (FOLDER / "Containerfile").read_text("utf-8"), re.MULTILINE)
    assert len(images) == 2
    assert all(f"Programming Language :: Python :: {release}" in project["classifiers"] for release in images)
