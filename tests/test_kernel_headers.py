# SPDX-License-Identifier: GPL-2.0-only
"""The headers of kernels: which packages are fetched for an image, and what is kept of them."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests import kernel_headers, kernel_images
from tests.kernel_apt import Apt, FetchError
from tests.kernel_headers import KernelHeaders, fetch_headers, headers_command, headers_of
from tests.plugins.hvolab_vmlinux.made_up_kernels import BANNER, MadeUp, elf_image

FLAVOR = "usr/src/linux-headers-6.12.1+deb-amd64"
DEBIAN = b"Linux version 6.12.1+deb-amd64 (a@b) (gcc (Debian 14.2.0-19) 14) #1 SMP Debian 6.12.1-1 (2026-11-12)\n\0"
DEPENDS = """linux-headers-6.12.1+deb-amd64
  Depends: <linux-headers-6.12.1+deb-common:amd64>
  Depends: linux-kbuild-6.12.1+deb
"""


def archive(files: Mapping[str, bytes], mode: str = "w") -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode=mode) as members:  # type: ignore[call-overload]
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            members.addfile(entry, io.BytesIO(content))
    return held.getvalue()


@pytest.fixture
def fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Packages that were downloaded; their content is archives, which a dpkg-deb of the test unpacks."""
    tool = tmp_path / "bin" / "dpkg-deb"
    tool.parent.mkdir()
    tool.write_text('#!/bin/sh\n[ "$1" = -x ] && exec tar -x -C "$3" -f "$2"\nexec cat "$2"\n')
    for name in ("apt-get", "apt-cache"):
        (tool.parent / name).write_text("")
    for path in tool.parent.iterdir():
        path.chmod(0o755)
    monkeypatch.setenv("PATH", str(tool.parent), prepend=":")
    asked: list[str] = []
    inner = archive(
        {f"linux-source-6.12/{path}": b"" for path in ("mm/slab.h", "mm/slub.c", "mm/Kconfig", "fs/dcache.c")}, "w:xz"
    )
    contents = {
        "linux-headers-6.12.1+deb-amd64:amd64": archive({f"{FLAVOR}/.config": b""}),
        "linux-headers-6.12.1+deb-common": archive({"usr/src/linux-headers-6.12.1+deb-common/Makefile": b""}),
        "linux-kbuild-6.12.1+deb": archive({"usr/lib/linux-kbuild-6.12.1+deb/scripts/x": b""}),
        "linux-source-6.12": archive({"./usr/src/linux-source-6.12.tar.xz": inner}),
    }

    def download(_apt: Apt, package: str) -> Path:
        asked.append(package)
        path = tmp_path / f"{len(asked)}.package"
        path.write_bytes(contents[package.partition("=")[0]])
        return path

    def made(apt: Apt, state: Path, *_: object) -> None:
        apt.state = state

    monkeypatch.setattr(Apt, "__init__", made)
    monkeypatch.setattr(Apt, "run", lambda *_: DEPENDS)
    monkeypatch.setattr(Apt, "download", download)
    return asked


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """An image of that version, where `kernel_images` has its own."""
    path = tmp_path / "images" / "x86_64-6.12.image"
    path.parent.mkdir()
    path.write_bytes(elf_image(MadeUp(code={"linux_banner": DEBIAN})))
    return path


def test_packages_are_those_of_the_images_version_and_each_is_fetched_once(
    fetched: list[str], image: Path, tmp_path: Path
) -> None:
    wanted = dict.fromkeys(("one", "two"), (image, "trixie", "amd64"))
    headers = fetch_headers(wanted, tmp_path / "headers", native="amd64")
    assert fetched == [
        "linux-headers-6.12.1+deb-amd64:amd64=6.12.1-1",
        "linux-headers-6.12.1+deb-common=6.12.1-1",
        "linux-kbuild-6.12.1+deb=6.12.1-1",
        "linux-source-6.12=6.12.1-1",
    ]
    folder = tmp_path / "headers" / "two"
    assert headers["two"] == KernelHeaders(folder / FLAVOR, folder / "mm") == headers_of("two", tmp_path / "headers")
    assert sorted(path.name for path in (folder / "mm").iterdir()) == ["slab.h", "slub.c"]
    assert (folder / "usr/lib/linux-kbuild-6.12.1+deb/scripts/x").exists()
    assert sorted(path.name for path in (tmp_path / "headers").iterdir()) == ["one", "two"]


def test_headers_that_are_there_are_not_fetched_again(
    fetched: list[str], image: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tmp_path = image.parent.parent
    monkeypatch.setenv("HVOLAB_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(kernel_headers, "_native", lambda: "amd64")
    for _ in range(2):
        assert kernel_images.main(["--headers", "x86_64-6.12"]) == 0
    assert len(fetched) == 4
    assert f"headers {tmp_path}/headers/x86_64-6.12/{FLAVOR}" in capsys.readouterr().out


def test_the_banner_has_release_and_version(image: Path) -> None:
    assert kernel_headers._release(image) == ("6.12.1+deb-amd64", "6.12.1-1")
    image.write_bytes(elf_image(MadeUp(code={"linux_banner": BANNER})))
    with pytest.raises(FetchError, match=r"no kernel of Debian's: its banner is b'Linux version 6\.12\.99-made-up"):
        kernel_headers._release(image)


def test_without_headers_the_command_is_named(tmp_path: Path) -> None:
    assert headers_of("x86_64-6.12", tmp_path) is None
    assert headers_command("x86_64-6.12") == "python -m tests.kernel_images --headers x86_64-6.12"
