# SPDX-License-Identifier: GPL-2.0-only
"""Fetches the headers and the mm/ of Debian's kernels, with which a file of theirs is compiled as they were.

The packages are those of the image's own release and version: linux-headers of the flavor and what it depends on, and
linux-source, of which only mm/ is kept. They are unpacked, never installed.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.kernel_apt import Apt, FetchError, pipe, require_apt

#: Packages that linux-headers of a flavor depends on.
_PARTS: Final = (r"linux-headers-\d\S*-common", r"linux-kbuild-\d\S*")
#: The end of an image's banner has the version of its source package.
_VERSION: Final = re.compile(rb"Debian (\d[^ \n]*)")
_BANNER_BYTES: Final = 512


@dataclass(frozen=True)
class KernelHeaders:
    """Headers of one image, unpacked.

    flavor  folder with the configuration: what `make -C` takes
    mm      the kernel's mm/, which headers do not have
    """

    flavor: Path
    mm: Path


def headers_of(name: str, directory: Path) -> KernelHeaders | None:
    """Return the headers of an image that were fetched into `directory`, or None."""
    folder = directory / name
    flavors = [one for one in folder.glob("usr/src/linux-headers-*") if (one / ".config").exists()]
    return KernelHeaders(flavors[0], folder / "mm") if flavors and (folder / "mm").exists() else None


def headers_command(name: str) -> str:
    """Return the command that fetches the headers of the image of that name."""
    return f"python -m tests.kernel_images --headers {name}"


def fetch_headers(
    wanted: Mapping[str, tuple[Path, str, str]], directory: Path, *, native: str | None = None
) -> dict[str, KernelHeaders]:
    """Fetch the headers of images into folders of `directory`, by their name; raises FetchError.

    wanted  the image, its suite and its architecture, by name
    native  Debian's name of this machine's architecture, on which the build tools run; by default dpkg's
    """
    require_apt()
    native = native or _native()
    directory.mkdir(parents=True, exist_ok=True)
    found = {}
    for suite in dict.fromkeys(suite for _, suite, _ in wanted.values()):
        images = {name: (path, one) for name, (path, of, one) in wanted.items() if of == suite}
        with tempfile.TemporaryDirectory(prefix="apt-", dir=directory) as state:
            apt = Apt(Path(state), suite, [native, *(one for _, one in images.values())])
            archives: dict[str, Path] = {}
            for name, (path, architecture) in images.items():
                found[name] = _fetch_one(apt, archives, path, architecture, directory / name)
    return found


def _native() -> str:
    return subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True).stdout.strip()


def _fetch_one(apt: Apt, archives: dict[str, Path], image: Path, architecture: str, folder: Path) -> KernelHeaders:
    """Unpack the packages of one image; `archives` are those downloaded already, by package."""
    release, version = _release(image)
    flavor = f"linux-headers-{release}:{architecture}"
    packages = [flavor]
    for pattern in _PARTS:
        part = apt.dependency(flavor, pattern)
        if part is None:
            raise FetchError(f"{flavor} does not depend on {pattern}")
        packages.append(part.partition(":")[0])
    series = re.match(r"\d+\.\d+", release)
    source = f"linux-source-{series[0] if series else release}"
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    for package in (*packages, source):
        if package not in archives:
            archives[package] = apt.download(f"{package}={version}")
            archives[package] = archives[package].rename(apt.state / f"{len(archives)}.deb")
        if package == source:
            _unpack_mm(archives[package], source, partial)
        else:
            subprocess.run(["dpkg-deb", "-x", archives[package], partial], check=True)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    headers = headers_of(folder.name, folder.parent)
    if headers is None:
        raise FetchError(f"the packages of {release} have no .config, or no mm/")
    return headers


def _release(image: Path) -> tuple[str, str]:
    """Return an image's release, and the version of its package."""
    # without --headers any Python fetches images, one without hvolab too
    from hvolab_vmlinux.open import open_kernel  # noqa: PLC0415

    kernel = open_kernel(image)
    banner = kernel.image.read(kernel.symbols.address("linux_banner"), _BANNER_BYTES).split(b"\0")[0]
    version = _VERSION.search(banner.partition(b") #")[2])
    if not kernel.image.release or version is None:
        raise FetchError(f"{image} is no kernel of Debian's: its banner is {banner!r}")
    return kernel.image.release, version[1].decode()


def _unpack_mm(archive: Path, source: str, folder: Path) -> None:
    """Unpack C files and headers of mm/ from linux-source, an archive in a package."""
    pipe(
        folder,
        ["dpkg-deb", "--fsys-tarfile", str(archive)],
        ["tar", "-x", "--to-stdout", f"./usr/src/{source}.tar.xz"],
        ["tar", "-xJ", "--strip-components=1", "--wildcards", *(f"{source}/mm/*.{kind}" for kind in "ch")],
    )
