# SPDX-License-Identifier: GPL-2.0-only
"""Wheel and sdist hold what they should, and nothing else."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from tests.extras import EXTRAS

ROOT = Path(__file__).parents[1]
_PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PACKAGES: list[str] = _PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
_NAMES = {PurePosixPath(package).name for package in PACKAGES}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def tracked() -> set[str]:
    """Files that git tracks, or would without a further line in .gitignore."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("compared with what git tracks: run it in a `git clone` of hvolab")
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return {name for name in listed.split("\0") if name and (ROOT / name).is_file()}


def _build(source: Path, folder: Path, *targets: str) -> None:
    for needed in ("hatchling", "hatch_vcs"):
        if importlib.util.find_spec(needed) is None:
            pytest.skip(f"needs {needed}: pip install hatchling hatch-vcs")
    flags = [word for target in targets for word in ("--target", target)]
    command = [sys.executable, "-m", "hatchling", "build", *flags, "--directory", str(folder)]
    done = subprocess.run(command, cwd=source, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of wheel and sdist, built once."""
    folder = tmp_path_factory.mktemp("dist")
    _build(ROOT, folder, "sdist", "wheel")
    return folder


def _of_wheel(folder: Path) -> set[str]:
    """Files of the only wheel of a folder; the folders named by the version, of metadata and data, are left out."""
    (wheel,) = folder.glob("hvolab-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    return {name if name.split("/")[0] in _NAMES else name.partition("/")[2] for name in names}


def _of_sdist(folder: Path) -> set[str]:
    (sdist,) = folder.glob("hvolab-*.tar.gz")
    with tarfile.open(sdist) as archive:
        return {PurePosixPath(*PurePosixPath(one.name).parts[1:]).as_posix() for one in archive if one.isfile()}


_METADATA = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}
_MAN_PAGE = {"data/share/man/man1/hvolab.1"}


def _in_wheel(name: str) -> str:
    """Name in the wheel of a tracked file, empty where it is of no package."""
    root, _, rest = name.partition("/")
    return rest if f"{root}/{rest.partition('/')[0]}" in PACKAGES else ""


def test_the_wheel_holds_the_packages_files_and_its_metadata(built: Path, tracked: set[str]) -> None:
    assert _of_wheel(built) == {_in_wheel(name) for name in tracked} - {""} | _METADATA | _MAN_PAGE


def test_the_sdist_holds_what_git_tracks_and_its_metadata(built: Path, tracked: set[str]) -> None:
    assert _of_sdist(built) == tracked | {"PKG-INFO"}


def test_the_sdist_builds_the_same_wheel_without_git(built: Path, tmp_path: Path) -> None:
    (sdist,) = built.glob("hvolab-*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    _build(source, tmp_path / "dist", "wheel")
    assert [wheel.name for wheel in (tmp_path / "dist").iterdir()] == [wheel.name for wheel in built.glob("*.whl")]
    assert _of_wheel(tmp_path / "dist") == _of_wheel(built)


def test_an_export_without_git_has_the_fallback_version(tracked: set[str], tmp_path: Path) -> None:
    for name in (
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "docs/man/hvolab.1",
        *(name for name in tracked if name.startswith("core/")),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    for package in PACKAGES:
        (tmp_path / package).mkdir(parents=True, exist_ok=True)
    _build(tmp_path, tmp_path / "dist", "wheel")
    fallback = _PROJECT["tool"]["hatch"]["version"]["fallback-version"]
    assert [wheel.name for wheel in (tmp_path / "dist").iterdir()] == [f"hvolab-{fallback}-py3-none-any.whl"]


def test_each_extra_of_users_is_tried_alone() -> None:
    of_developers = {"bench", "dev", "docs", "lint", "test", "test-noemu"}
    assert set(EXTRAS) - {""} == set(_PROJECT["project"]["optional-dependencies"]) - of_developers


def test_each_package_is_typed() -> None:
    assert [package for package in PACKAGES if not (ROOT / package / "py.typed").is_file()] == []
