# SPDX-License-Identifier: GPL-2.0-only
"""apt with a state of its own, for tests that fetch packages of Debian's: nothing of the system's state is changed.

Packages come from the Debian source that this system's apt is configured with, or that HVOLAB_DEBIAN_SOURCE names, and
are checked by apt as always.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

#: The URI of a Debian mirror, for systems whose apt has none.
SOURCE_VARIABLE: Final = "HVOLAB_DEBIAN_SOURCE"
_KEYRINGS: Final = ("/usr/share/keyrings/debian-archive-keyring.gpg", "/usr/share/keyrings/debian-archive-keyring.pgp")


class FetchError(Exception):
    """Why an image cannot be fetched, in a sentence."""


def require_apt() -> None:
    """Raise FetchError where apt or dpkg is not here."""
    for tool in ("apt-get", "apt-cache", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise FetchError(f"{tool} is not here: images can be fetched on Debian and its descendants")


class Apt:
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
            # apt puts the name of a package that another one provides in angle brackets
            found = re.search(rf"Depends: <?({pattern})", line)
            if found:
                return found[1]
        return None

    def download(self, package: str) -> Path:
        """The package's file."""
        self.run("apt-get", "-qq", "download", package)
        (path,) = (self.state / "download").glob("*.deb")
        return path


def pipe(folder: Path, *commands: Sequence[str]) -> None:
    """Run commands, each on what the one before it prints; the last one in `folder`."""
    running: list[subprocess.Popen[bytes]] = []
    for command in commands:
        source = running[-1].stdout if running else None
        last = command is commands[-1]
        running.append(subprocess.Popen(command, stdin=source, stdout=None if last else subprocess.PIPE, cwd=folder))
        if source is not None:
            source.close()
    codes = [one.wait() for one in running]
    if any(codes):
        raise FetchError(f"{' | '.join(' '.join(command) for command in commands)} failed")


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
