# SPDX-License-Identifier: GPL-2.0-only
"""The command that fetches kernel images: what it knows, and what it says where it cannot."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from tests import kernel_images
from tests.kernel_apt import FetchError
from tests.kernel_images import IMAGES, DebianImage, command_for, fetch, images_directory, main


def test_images_are_kept_in_the_users_cache_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HVOLAB_CACHE_DIR", str(tmp_path))
    assert images_directory() == tmp_path / "images"
    monkeypatch.delenv("HVOLAB_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert images_directory() == tmp_path / "hvolab" / "images"


def test_a_name_that_is_not_known_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["zebra"])
    assert "there is no image zebra; there are x86_64-6.12" in capsys.readouterr().err


def test_what_is_there_is_not_fetched_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HVOLAB_CACHE_DIR", str(tmp_path))
    fetched: list[str] = []

    def fake(wanted: list[DebianImage], directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        for image in wanted:
            fetched.append(image.name)
            (directory / f"{image.name}.image").write_bytes(b"kernel")

    monkeypatch.setattr(kernel_images, "fetch", fake)
    assert main([]) == main([]) == 0
    assert fetched == ["x86_64-6.12", "riscv64-6.12", "x86_64-6.1", "x86_64-7.x", "riscv64-7.x"]
    assert "arm64: Debian's kernels leave HVO out" in capsys.readouterr().out
    assert main(["arm64-6.12"]) == 0
    assert "(Debian's arm64 kernels leave HVO out)" in capsys.readouterr().out


def test_without_apt_it_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("shutil.which", lambda _tool: None)
    with pytest.raises(FetchError, match="apt-get is not here"):
        fetch(IMAGES[:1], tmp_path)
    monkeypatch.setenv("HVOLAB_CACHE_DIR", str(tmp_path))
    assert main([]) == 1
    assert "error: apt-get is not here" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", ["./boot/vmlinuz-6.12.1-amd64", "./boot/vmlinux-6.12.1-riscv64", "./usr/lib/modules/7.2/vmlinuz"]
)
def test_only_the_image_is_taken_out_of_a_package(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = io.BytesIO()
    with tarfile.open(fileobj=package, mode="w") as members:
        for one, content in (("./boot/System.map-6.12.1", b"map"), (name, b"kernel"), ("./usr/share/doc/x", b"doc")):
            entry = tarfile.TarInfo(one)
            entry.size = len(content)
            members.addfile(entry, io.BytesIO(content))
    archive = tmp_path / "package.tar"
    archive.write_bytes(package.getvalue())
    tool = tmp_path / "dpkg-deb"
    tool.write_text('#!/bin/sh\nexec cat "$2"\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert kernel_images._unpack(archive, tmp_path / "image").read_bytes() == b"kernel"


def test_the_command_names_the_image() -> None:
    assert command_for("x86_64-6.12") == "python -m tests.kernel_images x86_64-6.12"
