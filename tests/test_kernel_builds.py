# SPDX-License-Identifier: GPL-2.0-only
"""The command that builds kernel images: what it makes of the source, and what it says where it cannot."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from tests import kernel_builds
from tests.kernel_apt import Apt, FetchError
from tests.kernel_builds import IMAGES, OPTIONS, build
from tests.kernel_images import main

KCONFIG = "config ARM64\n\tdef_bool y\n\tselect ACPI\n"
#: Stands in for the kernel's own makefiles: notes what it is asked for, and takes every option but one.
MAKE = """#!/bin/sh
for one in "$@"; do
    case $one in O=*) out=${one#O=};; KCONFIG_ALLCONFIG=*) options=${one#*=};; esac
    last=$one
done
if [ "$last" = Image ]; then
    [ ! -e fails ] || { echo 'cc: no such option' >&2; exit 2; }
    mkdir -p "$out/arch/arm64/boot" && printf kernel > "$out/arch/arm64/boot/Image"
else
    grep -v "$LOST" "$options" > "$out/.config"
fi
"""


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of tools that do as little as possible; the source is fetched from there, too."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name in ("make", "gcc", "aarch64-linux-gnu-gcc", "flex", "bison", "bc", "pahole", "apt-get", "apt-cache"):
        (folder / name).write_text(MAKE if name == "make" else "#!/bin/sh\n")
        (folder / name).chmod(0o755)
    (folder / "dpkg-deb").write_text('#!/bin/sh\nexec cat "$2"\n')
    (folder / "dpkg-deb").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    monkeypatch.setenv("LOST", "nothing")
    needed = tuple((str(folder) if tool.startswith("/") else tool, package) for tool, package in kernel_builds._NEEDED)
    monkeypatch.setattr(kernel_builds, "_NEEDED", needed)
    monkeypatch.chdir(tmp_path)

    def fetched(_apt: Apt, package: str) -> Path:
        name = package.partition("=")[0]
        path = tmp_path / f"{name}.deb"
        path.write_bytes(source_package(name, KCONFIG))
        with (tmp_path / "fetched").open("a") as told:
            told.write(f"{package}\n")
        return path

    monkeypatch.setattr(Apt, "__init__", lambda *_: None)
    monkeypatch.setattr(Apt, "download", fetched)
    return folder


def source_package(name: str, kconfig: str) -> bytes:
    """What is in a source package, as far as it counts here: a compressed archive within an archive."""

    def archive(path: str, content: bytes, mode: str) -> bytes:
        held = io.BytesIO()
        with tarfile.open(fileobj=held, mode=mode) as members:  # type: ignore[call-overload]
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            members.addfile(entry, io.BytesIO(content))
        return held.getvalue()

    inner = archive(f"{name}/arch/arm64/Kconfig", kconfig.encode(), "w:xz")
    return archive(f"./usr/src/{name}.tar.xz", inner, "w")


def test_images_have_names_of_their_own_and_change_options_that_there_are_or_add_them() -> None:
    assert len({image.name for image in IMAGES}) == len(IMAGES)
    for image in IMAGES:
        taken_back = {name for name, value in image.options if value == "n"}
        assert taken_back <= OPTIONS.keys()


def test_hvo_is_selected_in_the_source_and_nothing_stays_but_the_image(
    tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trees: list[str] = []
    real = kernel_builds._build_one

    def noting(tree: Path, image: kernel_builds.BuiltImage, path: Path) -> Path:
        trees.append((tree / "arch/arm64/Kconfig").read_text())
        return real(tree, image, path)

    monkeypatch.setattr(kernel_builds, "_build_one", noting)
    images = tmp_path / "images"
    assert tools
    assert build(IMAGES[:2], images) == {image.name: images / f"{image.name}.image" for image in IMAGES[:2]}
    selected = "config ARM64\n\tdef_bool y\n\tselect ARCH_WANT_OPTIMIZE_HUGETLB_VMEMMAP\n\tselect ACPI\n"
    assert trees == [selected, selected]
    assert [path.read_bytes() for path in sorted(images.iterdir())] == [b"kernel", b"kernel"]


def test_each_source_is_fetched_once(tools: Path, tmp_path: Path) -> None:
    assert tools
    assert len(build(IMAGES, tmp_path / "images")) == len(IMAGES)
    assert (tmp_path / "fetched").read_text().split() == ["linux-source-6.12", "linux-source-6.12=6.12.107-1"]


def test_an_option_that_the_source_does_not_take_is_told(
    tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tools
    monkeypatch.setenv("LOST", "CONFIG_DEBUG_INFO_BTF")
    with pytest.raises(FetchError, match=r"arm64-6\.12-hvo does not take these options: DEBUG_INFO_BTF"):
        build(IMAGES[:1], tmp_path / "images")


def test_a_source_of_another_form_is_told(tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tools
    monkeypatch.setattr("tests.test_kernel_builds.KCONFIG", "config ARM64\n\tbool\n")
    with pytest.raises(FetchError, match="another arch/arm64/Kconfig than is known"):
        build(IMAGES[:1], tmp_path / "images")


def test_what_a_failed_build_printed_last_is_told(
    tools: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tools
    (tmp_path / "fails").touch()
    monkeypatch.setenv("HVOLAB_CACHE_DIR", str(tmp_path / "cache"))
    assert main(["arm64-6.12-hvo"]) == 1
    assert "error: the kernel cannot be built:\n  cc: no such option" in capsys.readouterr().err
    assert not list((tmp_path / "cache" / "images").iterdir())


def test_tools_that_are_not_here_are_named_with_their_packages(
    tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tools))
    (tools / "pahole").unlink()
    (tools / "flex").unlink()
    with pytest.raises(FetchError, match=r"needs flex, .*pahole, not here: apt-get install flex .*dwarves"):
        build(IMAGES[:1], tmp_path / "images")
