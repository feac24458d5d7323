# SPDX-License-Identifier: GPL-2.0-only
"""What a stranger has: a fresh virtual environment with what a page says to install, and a clean environment."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: Of the runner's environment variables, those that a stranger has as well: how packages are fetched.
_PASSED = ("PIP_*", "UV_*", "*_proxy", "*_PROXY", "SSL_CERT_*", "REQUESTS_CA_BUNDLE", "TMPDIR")
_EXTRAS = re.compile(r"pip install (?:--editable )?'(?:hvolab|\.)\[([\w,-]+)\]'")


def extras_named(page: str) -> list[str]:
    """Return the extras that a page says to install, sorted."""
    return sorted({name for names in _EXTRAS.findall(page) for name in names.split(",")})


def clean_environment(home: Path, *path: Path | str) -> dict[str, str]:
    """Return the environment variables of a stranger: a home, a PATH of these folders, and how packages are fetched."""
    passed = {name: value for name, value in os.environ.items() if any(fnmatch(name, each) for each in _PASSED)}
    places = os.pathsep.join(str(each) for each in path)
    return {**passed, "HOME": str(home), "PATH": places, "LANG": "C.UTF-8", "PYTHONIOENCODING": "utf-8"}


class StrangerRoom:
    """A virtual environment that is made anew for each page, at one path, and a wheel of the checkout.

    Bytecode is kept outside of it, by path: what two pages install is compiled once.
    """

    def __init__(self, folder: Path, uv: str) -> None:
        self.folder = folder
        self._uv = uv
        self.bin = folder / "venv" / "bin"
        self.bytecode = folder / "bytecode"
        self._run("build", "--wheel", "--out-dir", str(folder), str(ROOT))
        (self._wheel,) = folder.glob("hvolab-*.whl")

    def install(self, extras: Iterable[str], tree: Path | None = None) -> None:
        """Make the virtual environment anew, with pip as `venv` has it, and install hvolab: the wheel, or a tree."""
        self._run("venv", "--clear", "--seed", "--python", sys.executable, str(self.folder / "venv"))
        suffix = f"[{','.join(extras)}]"
        what = ["--editable", f"{tree}{suffix}"] if tree else [f"hvolab{suffix} @ {self._wheel.as_uri()}"]
        self._run("pip", "install", "--python", str(self.bin / "python"), *what)

    def _run(self, *arguments: str) -> None:
        done = subprocess.run([self._uv, *arguments], check=False, capture_output=True, text=True, cwd=self.folder)
        assert done.returncode == 0, f"uv {' '.join(arguments)}\n{done.stderr}"
