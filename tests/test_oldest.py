# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import os
import re
from importlib import metadata
from pathlib import Path

import pytest

from tests.oldest import lowest


def pyproject_with(folder: Path, *dependencies: str) -> Path:
    path = folder / "pyproject.toml"
    extras = "[project.optional-dependencies]\nmore = ['hvolab[other]', 'extra[fast]>=1.2,<2']"
    path.write_text(f"[project]\nname = 'hvolab'\ndependencies = {list(dependencies)}\n{extras}\n", "ascii")
    return path


def parts(release: str) -> list[str]:
    return re.sub(r"(\.0)+$", "", release).split(".")


def test_each_dependency_has_its_lower_bound(tmp_path: Path) -> None:
    path = pyproject_with(tmp_path, "one>=1.26,<3", "two-more>=5")
    assert lowest(path) == {"one": "1.26", "two-more": "5", "extra": "1.2"}


def test_a_dependency_without_a_lower_bound_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"the dependency 'one<3' has no lower bound"):
        lowest(pyproject_with(tmp_path, "one<3"))


def test_every_dependency_of_the_project_has_a_lower_bound() -> None:
    assert {"numpy", "typer", "unicorn", "capstone", "pytest", "sphinx"} <= lowest().keys()


@pytest.mark.skipif(os.environ.get("TOX_ENV_NAME") != "oldest", reason="run it as: tox run -e oldest")
def test_the_environment_has_the_lowest_releases() -> None:
    wanted = lowest()
    installed = {one.name.lower(): one.version for one in metadata.distributions()}
    found = {name: installed[name] for name in wanted if name in installed}
    assert {"numpy", "typer", "unicorn", "capstone", "hypothesis"} <= found.keys()
    assert {name: parts(release) for name, release in found.items()} == {name: parts(wanted[name]) for name in found}, (
        "install tox-uv, which has the setting uv_resolution"
    )
