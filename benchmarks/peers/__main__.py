# SPDX-License-Identifier: GPL-2.0-only
"""Makes the table who reads what: `python -m benchmarks.peers [--python INTERPRETER]`, in Markdown."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hvolab import __version__
from hvolab.errors import HvolabError
from hvolab.plugin import registry
from hvolab_vmcore.core.snapshot import SnapshotOptions, open_snapshot
from hvolab_vmcore.files.open import open_dump
from hvolab_vmcore.torture.answers import DumpAnswers
from hvolab_vmcore.torture.torture import write_torture

_WORKER = Path(__file__).with_name("worker.py")
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_PATIENCE = 600


@dataclass(frozen=True)
class Reader:
    """Results of one reader.

    name     its name and version
    results  for each dump: True, or why it does not give the right answers
    """

    name: str
    results: tuple[bool | str, ...]


def main() -> int:
    """Write the dumps, run all readers, and print the table; return 1 if hvolab is wrong about one."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument(
        "--python", default=sys.executable, help="interpreter that has drgn and volatility3 (default: this one)"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "dumps"
        dumps = write_torture(folder, registry().architectures()).dumps
        readers = [
            Reader(f"hvolab {__version__}", tuple(_hvolab(folder, one) for one in dumps)),
            *(_by_worker(options.python, reader, folder, dumps) for reader in ("drgn", "volatility3")),
            _makedumpfile(folder, dumps),
            _crash(folder, dumps),
        ]
    print(table(dumps, readers, dt.datetime.now(tz=dt.UTC).date().isoformat()))
    return int(any(one is not True for one in readers[0].results))


def _expected(answers: DumpAnswers) -> list[tuple[int, int]]:
    """Return VA and PA of each page of vmemmap of each huge page."""
    return [
        (part.va + page * answers.page_size, part.pfn * answers.page_size)
        for one in answers.huge_pages
        for part in one.vmemmap
        for page in range(part.pages)
    ]


def _judged(expected: list[tuple[int, int]], pas: list[int]) -> bool | str:
    right = sum(pa == ours for (_, pa), ours in zip(expected, pas, strict=True))
    return right == len(expected) or f"{right} of {len(expected)} pages"


def _hvolab(folder: Path, answers: DumpAnswers) -> bool | str:
    expected = _expected(answers)
    options = SnapshotOptions(memory_map=folder / answers.options[1]) if answers.options else None
    try:
        tables = open_snapshot(folder / answers.file, options, [folder / name for name in answers.parts]).tables
    except HvolabError as error:
        return str(error)
    frames = np.concatenate([tables.frames(va, 1) for va, _ in expected])
    return _judged(expected, (frames * answers.page_size).tolist())


def _by_worker(python: str, reader: str, folder: Path, dumps: tuple[DumpAnswers, ...]) -> Reader:
    """Run a reader in a process of its own."""
    jobs = [_job(folder, one) for one in dumps]
    done = subprocess.run(
        [python, str(_WORKER), reader],
        input=json.dumps(jobs),
        capture_output=True,
        text=True,
        check=False,
        timeout=_PATIENCE,
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no output"]
        return Reader(reader, (f"not run: {last[0]}",) * len(dumps))
    found = json.loads(done.stdout)
    results = (
        one["error"] if "error" in one else _judged(_expected(dump), one["pas"])
        for one, dump in zip(found["results"], dumps, strict=True)
    )
    return Reader(f"{reader} {found['version']}", tuple(results))


def _job(folder: Path, answers: DumpAnswers) -> dict[str, Any]:
    options = SnapshotOptions(memory_map=folder / answers.options[1]) if answers.options else None
    info = open_snapshot(folder / answers.file, options, [folder / name for name in answers.parts]).core.vmcoreinfo
    return {
        "path": str(folder / answers.file),
        "format": answers.format,
        "architecture": answers.architecture,
        "root": answers.root,
        "swapper": None if info is None else info.symbol("swapper_pg_dir"),
        "vas": [va for va, _ in _expected(answers)],
    }


def _makedumpfile(folder: Path, dumps: tuple[DumpAnswers, ...]) -> Reader:
    """Let makedumpfile read each dump and write it again: it translates no VAs for others."""
    tool = shutil.which("makedumpfile", path=_PATH)
    if tool is None:
        return Reader("makedumpfile", ("not installed",) * len(dumps))
    version = re.search(r"version (\S+)", _output(tool, "-v"))
    results = list[bool | str]()
    for one in dumps:
        copy = folder / "copy"
        copy.unlink(missing_ok=True)
        text = _output(tool, "-c", "-d", "0", str(folder / one.file), str(copy))
        lines = [line for line in text.splitlines() if line and not line.startswith(("Copying", "makedumpfile Failed"))]
        try:
            open_dump(copy)
            results.append(True)
        except HvolabError:
            results.append(lines[0] if lines else "no output")
    return Reader(f"makedumpfile {version[1] if version else ''}".rstrip(), tuple(results))


def _crash(folder: Path, dumps: tuple[DumpAnswers, ...]) -> Reader:
    """Start crash on each dump without a vmlinux, which does not exist for these kernels."""
    tool = shutil.which("crash", path=_PATH)
    if tool is None:
        return Reader("crash", ("not installed",) * len(dumps))
    version = re.search(r"^crash (\S+)", _output(tool, "--version"), re.MULTILINE)
    results = [_last_line(_output(tool, "-s", str(folder / one.file))) for one in dumps]
    return Reader(f"crash {version[1] if version else ''}".rstrip(), tuple(results))


def _output(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=60)
    return done.stdout + done.stderr


def _last_line(text: str) -> str:
    kept = (line.strip() for line in text.splitlines() if not line.startswith(("Usage", "WARNING")))
    lines = list(filter(None, kept))
    return lines[0] if lines else "no output"


def table(dumps: tuple[DumpAnswers, ...], readers: list[Reader], date: str) -> str:
    """Return the table, and the reasons of each reader below it, in Markdown."""
    groups: dict[str, list[int]] = {}
    for index, one in enumerate(dumps):
        elf = one.format == "elf"
        kind = f"{one.architecture}, ELF, all modes and releases" if elf else f"{one.format}, all architectures"
        groups.setdefault(kind, []).append(index)
    lines = [
        f"{date}: dumps of which all answers are right, of {len(dumps)}; makedumpfile: dumps that it copies.",
        "",
        "| dumps | number | " + " | ".join(reader.name for reader in readers) + " |",
        "|---" * (len(readers) + 2) + "|",
    ]
    for kind, members in sorted(groups.items(), key=lambda one: ("ELF" not in one[0], one[0])):
        cells = (_cell([reader.results[index] for index in members]) for reader in readers)
        lines.append(f"| {kind} | {len(members)} | " + " | ".join(cells) + " |")
    lines.append("")
    for reader in readers:
        reasons = Counter(_short(one) for one in reader.results if one is not True)
        lines += [f"- {reader.name}: {count} of {reason}" for reason, count in reasons.most_common(6)]
    return "\n".join(lines)


def _cell(results: list[bool | str]) -> str:
    """Return the number of dumps with all answers right, and of those with some."""
    some = sum(isinstance(one, str) and re.fullmatch(r"[1-9]\d* of \d+ pages", one) is not None for one in results)
    right = sum(one is True for one in results)
    return f"{right}, {some} in part" if some else str(right)


def _short(reason: object) -> str:
    """Return a reason without numbers and paths that differ between dumps."""
    text = re.sub(r"/\S+/", "", str(reason))
    return re.sub(r"\b[\w.-]+\.(core|kdump|lime|avml|raw|flat|gz|xz|\d)\b", "FILE", text)[:110]


if __name__ == "__main__":
    sys.exit(main())
