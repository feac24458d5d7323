"""Fetches Debian's kernel images, for tests: `python -m tests.kernel_images [NAME ...]`. Needs apt and dpkg-deb.

Packages come from the Debian source that this system's apt is configured with, or that HVOLAB_DEBIAN_SOURCE names, and
are checked by apt as always. apt works in a folder of its own: nothing of the system's state is changed. Of a package
only the image is kept, under the user's cache directory.
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

#: The URI of a Debian mirror, for systems whose apt has none.
SOURCE_VARIABLE: Final = "HVOLAB_DEBIAN_SOURCE"
_KEYRINGS: Final = ("/usr/share/keyrings/debian-archive-keyring.gpg", "/usr/share/keyrings/debian-archive-keyring.pgp")
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
    DebianImage("x86_64-6.1", "bookworm", "amd64", "6.1", "the generation before folios"),
    DebianImage("arm64-6.12", "trixie", "arm64", "6.12", "Debian's arm64 kernels leave HVO out"),
    DebianImage("x86_64-7.x", "sid", "amd64", "7.", "the generation of shared tail pages"),
    DebianImage("riscv64-7.x", "sid", "riscv64", "7.", "the generation of shared tail pages"),
    DebianImage("arm64-7.x", "sid", "arm64", "7.", "Debian's arm64 kernels leave HVO out"),
)


class FetchError(Exception):
    """Why an image cannot be fetched, in a sentence."""


def images_directory() -> Path:
    """Where fetched images are kept: in HVOLAB_CACHE_DIR, or hvolab's folder in the user's cache directory."""
    chosen = os.environ.get("HVOLAB_CACHE_DIR")
    if chosen:
        return Path(chosen) / "images"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hvolab" / "images"


def command_for(name: str) -> str:
    """The command that fetches the image of that name."""
    return f"python -m tests.kernel_images {name}"


def fetch(wanted: Sequence[DebianImage], directory: Path) -> dict[str, Path]:
    """Fetch images into `directory`; returns the path of each by name. Raises FetchError."""
    for tool in ("apt-get", "apt-cache", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise FetchError(f"{tool} is not here: images can be fetched on Debian and its descendants")
    directory.mkdir(parents=True, exist_ok=True)
    found = {}
    for suite in dict.fromkeys(image.suite for image in wanted):
        images = [image for image in wanted if image.suite == suite]
        with tempfile.TemporaryDirectory(prefix="apt-", dir=directory) as state:
            apt = _Apt(Path(state), suite, [image.architecture for image in images])
            for image in images:
                found[image.name] = _fetch_one(apt, image, directory)
    return found


class _Apt:
    """apt with a state of its own, for one suite."""

    def __init__(self, state: Path, suite: str, architectures: Sequence[str]) -> None:
        self.state = state
        for folder in ("lists/partial", "archives/partial", "sources", "download"):
            (state / folder).mkdir(parents=True)
        (state / "status").touch()
        uri, keyring = _source()
        signed = f"[signed-by={keyring}] " if keyring else ""
        (state / "sources.list").write_text(f"deb {signed}{uri} {suite} main\n")
        wanted = "".join(f' "{one}";' for one in dict.fromkeys(architectures))
        (state / "apt.conf").write_text(
            f'Dir::State "{state}"; Dir::State::status "{state}/status"; Dir::Cache "{state}";\n'
            f'Dir::Etc::sourcelist "{state}/sources.list"; Dir::Etc::sourceparts "{state}/sources";\n'
            f'APT::Architecture "{architectures[0]}"; APT::Architectures {{{wanted} }};\n'
            'Acquire::Languages "none"; Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";\n'
            f'APT::Sandbox::User "{"root" if os.geteuid() == 0 else ""}";\n'
        )
        self.run("apt-get", "-qq", "update")

    def run(self, *command: str) -> str:
        """What the command prints; FetchError if it fails."""
        environment = {**os.environ, "APT_CONFIG": str(self.state / "apt.conf"), "LC_ALL": "C"}
        done = subprocess.run(
            command, env=environment, cwd=self.state / "download", capture_output=True, text=True, check=False
        )
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
            raise FetchError(f"{' '.join(command)} failed: {last[0]}")
        return done.stdout

    def dependency(self, package: str, pattern: str) -> str | None:
        """The first package that `package` depends on and whose name matches."""
        for line in self.run("apt-cache", "depends", "--important", package).splitlines():
            found = re.search(rf"Depends: ({pattern})", line)
            if found:
                return found[1]
        return None

    def download(self, package: str) -> Path:
        """The package's file."""
        self.run("apt-get", "-qq", "download", package)
        (path,) = (self.state / "download").glob("*.deb")
        return path


def _source() -> tuple[str, str]:
    """URI of a Debian mirror, and the keyring that its index is signed with."""
    keyring = next((path for path in _KEYRINGS if Path(path).exists()), "")
    chosen = os.environ.get(SOURCE_VARIABLE)
    if chosen:
        return chosen, keyring
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)\t$(SIGNED_BY)"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    for line in listed.splitlines():
        uri, _, signed_by = line.partition("\t")
        if uri.rstrip("/").endswith("/debian"):
            # apt leaves the word as it is where a source names no keyring
            return uri, signed_by if signed_by.startswith("/") else keyring
    raise FetchError(f"apt has no Debian source here: name the URI of a mirror in {SOURCE_VARIABLE}")


def _fetch_one(apt: _Apt, image: DebianImage, directory: Path) -> Path:
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
    names = [image.name for image in IMAGES]
    default = [image.name for image in IMAGES if image.by_default]
    parser.add_argument("name", nargs="*", help=f"of {', '.join(names)}; by default {' and '.join(default)}")
    parser.add_argument("--again", action="store_true", help="fetch what is there already, too")
    chosen = parser.parse_args(arguments)
    unknown = set(chosen.name) - set(names)
    if unknown:
        parser.error(f"there is no image {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    wanted = [image for image in IMAGES if image.name in (chosen.name or default)]
    directory = images_directory()
    missing = [image for image in wanted if chosen.again or not (directory / f"{image.name}.image").exists()]
    begun = time.monotonic()
    try:
        fetch(missing, directory)
    except (FetchError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for image in wanted:
        path = directory / f"{image.name}.image"
        remark = f" ({image.remark})" if image.remark else ""
        print(f"{image.name}: {path}, {path.stat().st_size} bytes{remark}")
    print(f"{len(missing)} fetched in {time.monotonic() - begun:.0f} s")
    if not any(image.architecture == "arm64" for image in wanted):
        print("arm64: Debian's kernels leave HVO out; give pytest one that has it with --kernel-image FILE")
    return 0


if __name__ == "__main__":
    sys.exit(main())
