# SPDX-License-Identifier: GPL-2.0-only
"""Kernel images for tests: what the caller gives, else what was fetched before; where there is none, tests skip."""

from __future__ import annotations

import functools
import os
from pathlib import Path

import pytest

from hvolab_vmlinux.kernel import Kernel
from hvolab_vmlinux.open import open_kernel
from tests.kernel_images import command_for, images_directory

#: Where images are that the caller gives by environment: files, or folders of nothing else, as PATH lists folders.
IMAGES_VARIABLE = "HVOLAB_KERNEL_IMAGES"


@pytest.fixture(autouse=True)
def own_cache(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test reads or writes the user's cache but those of real images, which it is for."""
    if "real_kernel" not in request.fixturenames and "given_kernel" not in request.fixturenames:
        folder = tmp_path_factory.getbasetemp() / "hvolab-cache"
        request.getfixturevalue("monkeypatch").setenv("HVOLAB_CACHE_DIR", str(folder))


@functools.cache
def opened(path: Path) -> Kernel:
    """An image that several tests ask for is read once, and what is found in it is kept; most of it is mapped."""
    return open_kernel(path)


@pytest.fixture
def real_kernel(request: pytest.FixtureRequest) -> Kernel:
    """The kernel of the name that the test is parametrized with, as `x86_64-6.12`; it is one that was fetched."""
    path = images_directory() / f"{request.param}.image"
    if not path.exists():
        pytest.skip(f"there is no image: {command_for(request.param)}")
    return opened(path)


def given_images(config: pytest.Config) -> list[Path]:
    """The images that the caller gives, by option and by environment."""
    named = [Path(one) for one in config.getoption("--kernel-image") or ()]
    for entry in filter(None, os.environ.get(IMAGES_VARIABLE, "").split(os.pathsep)):
        named += sorted(Path(entry).iterdir()) if Path(entry).is_dir() else [Path(entry)]
    return named


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for `given_kernel` runs for each image that the caller gives."""
    if "given_kernel" in metafunc.fixturenames:
        paths = given_images(metafunc.config)
        reason = f"no image is given: pytest --kernel-image FILE, or {IMAGES_VARIABLE}=FILE"
        none = pytest.param(None, marks=pytest.mark.skip(reason=reason), id="none")
        metafunc.parametrize(
            "given_kernel", [pytest.param(path, id=path.name) for path in paths] or [none], indirect=True
        )


@pytest.fixture
def given_kernel(request: pytest.FixtureRequest) -> Kernel:
    """A kernel that the caller gives."""
    return opened(request.param)
