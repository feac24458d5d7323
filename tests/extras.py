# SPDX-License-Identifier: GPL-2.0-only
"""Each extra alone in a clean environment, and hvolab without any: install the wheel, and run what it is for.

Run by the tox environment `extras`, with a folder to work in: python -m tests.extras FOLDER [EXTRA]...
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from tests.downstream import ROOT, Desk, DownstreamError, require

#: A command that needs the extra and neither an image nor a dump; empty: those of `_ALWAYS` only.
EXTRAS = {
    "": "",
    "conformance": "conformance riscv",
    "emulation": "verify --arch x86_64",
    "kernel": "verify --arch arm64",
    "boot": "verify --arch riscv",
    "explore": "explore --arch riscv --actors 'optimize A, taker A.64'",
    "dumps": "torture dumps --arch riscv",
    "plot": "savings --memory 4T --plot plot.svg",
    "report": "run --html page.html --perfetto run.pftrace",
    "cluster": "",
    "browser": "",
    "kernel-fallback": "",
}
_ALWAYS = ("--version --verbose", "plugins", "run")


def try_alone(folder: Path, extra: str, wheel: Path | None) -> Path:
    """Install hvolab with one extra, and run its commands; return the wheel, which is built if there is none."""
    desk = Desk(folder / (extra or "none"))
    if wheel is None:
        desk.pip("wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT))
        (wheel,) = folder.glob("hvolab-*.whl")
    suffix = f"[{extra}]" if extra else ""
    desk.pip("install", f"hvolab{suffix} @ {wheel.as_uri()}")
    for command in filter(None, (*_ALWAYS, EXTRAS[extra])):
        desk.run("hvolab", *shlex.split(command))
    broken = [plugin["name"] for plugin in desk.json("plugins") if plugin["problem"]]
    require(not broken, f"extra {extra or 'none'}: plugins that do not work: {broken}")
    return wheel


def main() -> int:
    """Try every extra that is named, or all; 0 where each works."""
    if len(sys.argv) < 2 or not set(sys.argv[2:]) <= set(EXTRAS):
        print(f"usage: {sys.argv[0]} FOLDER [EXTRA]...; an EXTRA is one of {', '.join(EXTRAS)}", file=sys.stderr)
        return 2
    folder = Path(sys.argv[1]).resolve() / "extras"
    for old in folder.glob("hvolab-*.whl"):
        old.unlink()
    wheel: Path | None = None
    try:
        for extra in sys.argv[2:] or EXTRAS:
            wheel = try_alone(folder, extra, wheel)
    except DownstreamError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
