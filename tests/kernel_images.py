# SPDX-License-Identifier: GPL-2.0-only
"""Fetches Debian's kernel images, for tests: `python -m tests.kernel_images [NAME ...]`. Needs apt and dpkg-deb.

Packages come from the Debian source that this system's apt is configured with, or that HVOLAB_DEBIAN_SOURCE names, and
are checked by apt as always. apt works in a folder of its own: nothing of the system's state is changed. Of a package
only the image is kept, under the user's cache directory. Images that Debian does not have are built from its source,
where they are asked for by name: that takes minutes, a cross compiler, and two gigabytes for the time.

With --headers it also fetches what a file of these kernels is compiled with: linux-headers and linux-source of the
image's own version, 170 MB for one image (linux-source alone 153 to 164 MB, of which mm/ is kept).
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.kernel_apt import Apt, FetchError, require_apt
from tests.kernel_builds import IMAGES as BUILT
from tests.kernel_builds import BuiltImage, build
from tests.kernel_headers import fetch_headers, headers_of

_IMAGE: Final = re.compile(r"\./(boot/vmlinu[xz]-[^/]+|usr/lib/modules/[^/]+/vmlinuz)")


@dataclass(frozen=True)
class DebianImage:
    """A kernel image of Debian's: our name for it, its suite and architecture, how its release begins, and a remark."""

    name: str
    suite: str
    architecture: str
    release: str
    remark: str = ""
    by_default: bool = False


IMAGES: Final = (
    DebianImage("x86_64-6.12", "trixie", "amd64", "6.12", by_default=True),
    DebianImage("riscv64-6.12", "trixie", "riscv64", "6.12", by_default=True),
    DebianImage("x86_64-6.1", "bookworm", "amd64", "6.1", "the release before folios", by_default=True),
    DebianImage("arm64-6.12", "trixie", "arm64", "6.12", "Debian's arm64 kernels leave HVO out"),
    DebianImage("x86_64-7.x", "sid", "amd64", "7.", "the release of shared tail pages", by_default=True),
    DebianImage("riscv64-7.x", "sid", "riscv64", "7.", "the release of shared tail pages", by_default=True),
    DebianImage("arm64-7.x", "sid", "arm64", "7.", "Debian's arm64 kernels leave HVO out"),
)


def images_directory() -> Path:
    """Where fetched images are kept: in HVOLAB_CACHE_DIR, or hvolab's folder in the user's cache directory."""
    chosen = os.environ.get("HVOLAB_CACHE_DIR")
    if chosen:
        return Path(chosen) / "images"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hvolab" / "images"


def headers_directory() -> Path:
    """Where the headers of images are kept, next to the images."""
    return images_directory().with_name("headers")


def command_for(name: str) -> str:
    """The command that fetches or builds the image of that name."""
    return f"python -m tests.kernel_images {name}"


def fetch(wanted: Sequence[DebianImage], directory: Path) -> dict[str, Path]:
    """Fetch images into `directory`; returns the path of each by name. Raises FetchError."""
    require_apt()
    directory.mkdir(parents=True, exist_ok=True)
    found = {}
    for suite in dict.fromkeys(image.suite for image in wanted):
        images = [image for image in wanted if image.suite == suite]
        with tempfile.TemporaryDirectory(prefix="apt-", dir=directory) as state:
            apt = Apt(Path(state), suite, [image.architecture for image in images])
            for image in images:
                found[image.name] = _fetch_one(apt, image, directory)
    return found


def _fetch_one(apt: Apt, image: DebianImage, directory: Path) -> Path:
    meta = f"linux-image-{image.architecture}:{image.architecture}"
    package = apt.dependency(meta, r"linux-image-\d\S*")
    if package is None or not package.startswith(f"linux-image-{image.release}"):
        raise FetchError(f"the kernel of {image.suite} is {package}, not {image.release}")
    qualified = f"{package.partition(':')[0]}:{image.architecture}"
    # in newer packages the image is one package further
    binary = apt.dependency(qualified, r"linux-binary-\d\S*")
    if binary is not None:
        qualified = f"{binary.partition(':')[0]}:{image.architecture}"
    archive = apt.download(qualified)
    try:
        return _unpack(archive, directory / f"{image.name}.image")
    finally:
        archive.unlink()


def _unpack(archive: Path, path: Path) -> Path:
    """Take the image out of a package, and put it where it belongs once it is whole."""
    with (
        subprocess.Popen(["dpkg-deb", "--fsys-tarfile", archive], stdout=subprocess.PIPE) as unpacking,
        tarfile.open(fileobj=unpacking.stdout, mode="r|") as members,
    ):
        for member in members:
            content = members.extractfile(member) if _IMAGE.fullmatch(member.name) and member.isfile() else None
            if content is not None:
                partial = path.with_name(f"{path.name}.{os.getpid()}")
                with partial.open("wb") as file:
                    shutil.copyfileobj(content, file)
                partial.replace(path)
                unpacking.kill()
                return path
    raise FetchError(f"there is no kernel image in {archive.name}")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.kernel_images", description=__doc__)
    known = {image.name: image for image in (*IMAGES, *BUILT)}
    default = [image.name for image in known.values() if image.by_default]
    parser.add_argument("name", nargs="*", help=f"of {', '.join(known)}; by default {', '.join(default)}")
    parser.add_argument("--again", action="store_true", help="fetch or build what is there already, too")
    parser.add_argument("--headers", action="store_true", help="fetch headers and source of Debian's images, too")
    chosen = parser.parse_args(arguments)
    unknown = set(chosen.name) - set(known)
    if unknown:
        parser.error(f"there is no image {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    wanted = [image for name, image in known.items() if name in (chosen.name or default)]
    directory = images_directory()
    missing = [image for image in wanted if chosen.again or not (directory / f"{image.name}.image").exists()]
    begun = time.monotonic()
    try:
        _get(missing, directory)
        if chosen.headers:
            _get_headers([image for image in wanted if isinstance(image, DebianImage)], directory, again=chosen.again)
    except (FetchError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for image in wanted:
        path = directory / f"{image.name}.image"
        remark = f" ({image.remark})" if image.remark else ""
        print(f"{image.name}: {path}, {path.stat().st_size} bytes{remark}")
    print(f"{len(missing)} fetched or built in {time.monotonic() - begun:.0f} s")
    if not any(image.architecture == "arm64" for image in wanted):
        print(f"arm64: Debian's kernels leave HVO out; building one takes minutes: {command_for(BUILT[0].name)}")
    return 0


def _get(missing: Sequence[DebianImage | BuiltImage], directory: Path) -> None:
    """Fetch and build what is missing."""
    if to_fetch := [image for image in missing if isinstance(image, DebianImage)]:
        fetch(to_fetch, directory)
    if to_build := [image for image in missing if isinstance(image, BuiltImage)]:
        build(to_build, directory)


def _get_headers(images: Sequence[DebianImage], directory: Path, *, again: bool) -> None:
    """Fetch the headers that are missing, and print where those of each image are."""
    place = headers_directory()
    wanted = {
        image.name: (directory / f"{image.name}.image", image.suite, image.architecture)
        for image in images
        if again or headers_of(image.name, place) is None
    }
    if wanted:
        fetch_headers(wanted, place)
    for image in images:
        headers = headers_of(image.name, place)
        if headers is not None:
            print(f"{image.name}: headers {headers.flavor}, source {headers.mm}")


if __name__ == "__main__":
    sys.exit(main())
