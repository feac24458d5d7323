# SPDX-License-Identifier: GPL-2.0-only
"""Runs benchmarks: ``python -m benchmarks [NAME …] [--quick] [--json FILE]``. Exit code 1: a bar is missed."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np
from rich.console import Console

from benchmarks.report import BenchmarkError, Result, as_json, show

#: By the name of a benchmark: the module that runs it, and arguments for it.
_BENCHMARKS: dict[str, tuple[str, dict[str, str]]] = {
    "scale": ("scale", {}),
    "scale-arm64": ("scale", {"architecture": "arm64"}),
    "scale-riscv": ("scale", {"architecture": "riscv"}),
    "listening": ("listening", {}),
    "core-walk": ("core_walk", {}),
    "dumps": ("dumps", {}),
    "inspection": ("inspection", {}),
    "invariants": ("invariants", {}),
    "emulated": ("emulated", {}),
    "kernel-code": ("kernel_code", {}),
    "explore": ("explore", {}),
}


def main() -> int:
    """Run the named benchmarks; return 0 if every bar is met, 1 if one is missed, 2 if a benchmark failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="measure hvolab against its bars")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which (default: all): {', '.join(_BENCHMARKS)}")
    parser.add_argument(
        "--quick", action="store_true", help="smaller machines and fewer runs: figures for a first look"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in _BENCHMARKS]:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(_BENCHMARKS)}")
    console = Console(soft_wrap=True)
    console.print(_machine())
    results: list[Result] = []
    failed = False
    for name in options.names or _BENCHMARKS:
        module, arguments = _BENCHMARKS[name]
        benchmark: Callable[..., Result] = import_module(f"benchmarks.{module}").run
        try:
            result = benchmark(quick=options.quick, **arguments)
        except BenchmarkError as error:
            console.print(f"[red]{name} could not be measured:[/] {error}")
            failed = True
            continue
        show(console, result)
        results.append(result)
    if options.json is not None:
        found = {"machine": _machine(), "quick": options.quick, "results": [as_json(result) for result in results]}
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    if failed:
        return 2
    return 0 if all(result.met for result in results) else 1


def _machine() -> str:
    """Return a line about the computer."""
    return (
        f"{os.cpu_count()} CPUs, {platform.machine()}, {platform.system()} {platform.release()},"
        f" Python {platform.python_version()}, numpy {np.__version__}"
    )


if __name__ == "__main__":
    sys.exit(main())
