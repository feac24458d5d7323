# SPDX-License-Identifier: GPL-2.0-only
"""What strangers do, with wheels alone: build hvolab and the examples, install them into a clean environment, use them.

Run by the tox environment `downstream`, with a folder to work in: python tests/downstream.py FOLDER. Nothing of the
checkout is importable where it runs things, and each step that fails ends it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
#: The architectures of each example, and its folder.
EXAMPLES = {name: ROOT / "examples" / f"hvolab-{name}" for name in ("loongarch", "s390x", "ppc64")}
#: Left of the environment: nothing that would let an interpreter find the checkout.
_HIDDEN = ("PYTHONPATH", "PYTHONHOME", "HVOLAB_STRICT")


class DownstreamError(Exception):
    """Something that a stranger would stumble over."""


class Desk:
    """A clean environment, and an empty folder in which everything runs."""

    def __init__(self, folder: Path) -> None:
        self.wheels = folder / "wheels"
        self.place = folder / "desk"
        shutil.rmtree(folder, ignore_errors=True)
        for made in (self.wheels, self.place):
            made.mkdir(parents=True)
        venv.create(folder / "venv", with_pip=True)
        self.bin = folder / "venv" / "bin"
        self.environment = {name: value for name, value in os.environ.items() if name not in _HIDDEN}
        self.environment["HVOLAB_STRICT"] = "1"

    def run(self, *command: str, code: int = 0) -> str:
        """What a command of the environment prints; it must end with ``code``."""
        print("$", *command, flush=True)
        done = subprocess.run(
            [self.bin / command[0], *command[1:]],
            cwd=self.place,
            env=self.environment,
            check=False,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        if done.returncode != code:
            raise DownstreamError(f"{' '.join(command)} ends with {done.returncode}, not {code}\n{done.stdout}")
        return done.stdout

    def pip(self, *arguments: str) -> None:
        """Run pip."""
        self.run("python", "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments)

    def json(self, *arguments: str, code: int = 0) -> Any:
        """What hvolab prints as JSON."""
        return json.loads(self.run("hvolab", *arguments, "--json", code=code))


def require(holds: object, what: str) -> None:
    """Raise DownstreamError unless ``holds``."""
    if not holds:
        raise DownstreamError(what)


def install(desk: Desk) -> None:
    """Build the wheels, look into hvolab's, and install all."""
    for project in (ROOT, *EXAMPLES.values()):
        desk.pip("wheel", "--no-deps", "--wheel-dir", str(desk.wheels), str(project))
    wheels = sorted(desk.wheels.glob("*.whl"))
    require(len(wheels) == 1 + len(EXAMPLES), f"the wheels are {wheels}")
    (own,) = desk.wheels.glob("hvolab-*.whl")
    inside = set(zipfile.ZipFile(own).namelist())
    templates = ROOT / "core" / "hvolab" / "authoring" / "architecture"
    for template in templates.rglob("*.template"):
        name = template.relative_to(ROOT / "core").as_posix()
        require(name in inside, f"{name} is not in the wheel")
    require("hvolab/conformance/test_conformance.py" in inside, "the conformance kit is not in the wheel")
    desk.pip("install", f"hvolab[test] @ {own.as_uri()}", *(str(wheel) for wheel in wheels if wheel != own))


def use(desk: Desk) -> None:
    """Look at the examples by hvolab's own commands."""
    names = {architecture["name"] for architecture in desk.json("arches")}
    require(names >= {*EXAMPLES, "x86_64", "arm64", "riscv"}, f"the architectures are {sorted(names)}")
    for mode in desk.json("arches", "loongarch")[0]["modes"]:
        result = desk.json("run", "--arch", "loongarch", "--mode", mode["name"])
        require([found["rule"] for found in result["findings"]] == ["stores"], f"{mode['name']}: {result['findings']}")
    # what crashed in 2025: free frames in TLBs, and live entries that a plain store replaced
    crashed = desk.json("run", "--arch", "s390x", "--hugepages", "1M=8", code=1)
    found = {finding["rule"]: finding["declared"] for finding in crashed["findings"]}
    require(found.get("ownership") is False and found.get("live_entries") is True, f"s390x: {found}")
    desk.run("hvolab", "run", "--arch", "s390x", "--feature", "flush")
    for kernel in ("ppc64", "ppc64le"):  # entries are big-endian, whatever the data are
        entry = desk.json("pte", "--arch", kernel, "--mode", "4K", "--bytes", "c0 00 00 00 05 4e 41 8e")
        require(entry["pfn"] in {0x54E4, "0x54e4"}, f"{kernel}: {entry}")
        desk.run("hvolab", "run", "--arch", kernel, "--mode", "4K")


def prove(desk: Desk) -> None:
    """Run the examples' own tests, the kit among them; author() runs the kit by hvolab's command too."""
    for project in EXAMPLES.values():
        desk.run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", str(project))


#: A project that has an option of its own by the name that hvolab would like, and does not know of hvolab.
_STRANGER = {
    "conftest.py": "def pytest_addoption(parser):\n    parser.addoption('--arch')\n",
    "test_it.py": "def test_it(request):\n"
    "    assert request.config.option.arch == 'vax'\n"
    # a conftest's name is its path, which the folder of the checkout is part of
    "    names = [name for name, _ in request.config.pluginmanager.list_name_plugin() if '/' not in name]\n"
    "    assert not any('hvolab' in name for name in names)\n",
}


def leave_alone(desk: Desk) -> None:
    """Run the tests of another project in the environment that has hvolab and its kit."""
    folder = desk.place / "stranger"
    folder.mkdir()
    for name, text in _STRANGER.items():
        (folder / name).write_text(text, encoding="utf-8")
    desk.run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "stranger", "--arch", "vax")


def author(desk: Desk) -> None:
    """Write a new package, install it, run its tests."""
    desk.run("hvolab", "new", "arch", "newcomer")
    desk.pip("install", "./hvolab-newcomer")
    tested = desk.run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "hvolab-newcomer")
    require("stage 1 geometry is made up" in tested, "the new package's tests do not say what is made up")
    desk.run("hvolab", "run", "--arch", "newcomer")
    desk.run("hvolab", "conformance", "newcomer")


def main() -> int:
    """Do all of it; 0 where every step went as it should."""
    if len(sys.argv) != 2:
        print(f"usage: {sys.argv[0]} FOLDER", file=sys.stderr)
        return 2
    desk = Desk(Path(sys.argv[1]).resolve() / "downstream")
    try:
        for step in (install, use, leave_alone, author, prove):
            step(desk)
    except DownstreamError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
