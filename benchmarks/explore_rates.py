# SPDX-License-Identifier: GPL-2.0-only
"""Rates of complete explorations, on the model and on a kernel's own code, each in a new program.

usage: python -m benchmarks.explore_rates [--image IMAGE]     prints figures by configuration, one line of JSON

What one configuration leaves for the garbage collector is collected before the next is measured.
Each configuration has: schedules, classes, and steps of all schedules; CPU time in ms of a schedule, in µs of a step,
and in seconds of the whole exploration. With a kernel's code the steps are those that the search chooses between.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
from pathlib import Path

from benchmarks.report import BenchmarkError
from hvolab.__main__ import YOUNG
from hvolab.arch import Target
from hvolab.cli.options import select_target
from hvolab.plugin import registry
from hvolab_explorer.exploration import Limits, explore
from hvolab_explorer.runs.configuration import Configuration, parse_actors
from hvolab_explorer.runs.run import code_engine, select
from hvolab_explorer.search.dpor import Dpor
from hvolab_explorer.world.world import WorldProgram

_TARGET, _RELEASE = "x86_64", "6.12"
#: Actors on the model, and whether the leaves are split at the start.
_MODEL = {
    "two optimizers": ("optimize A, optimize B", False),
    "scanner, split": ("optimize A, scanner A.64 A.70 A.200", True),
    "scanner": ("optimize A, scanner A.64 A.70 A.200", False),
    "two optimizers, taker": ("optimize A, optimize B, taker A.64", False),
}
_EVERYTHING = Limits(seconds=600, first_finding=False)


class _Counted(WorldProgram):
    """A program that counts the steps of its schedules."""

    steps = 0

    def restore(self) -> None:
        """Return to the first state."""
        self.steps += self.scheduler.steps
        super().restore()


def _rate(configuration: Configuration, target: Target) -> dict[str, float]:
    """Explore a configuration to its end; raises BenchmarkError if it is not complete, or has a finding."""
    gc.collect()
    made = configuration.program(target)
    program = _Counted(made.world, configuration.bodies())
    start = time.process_time()
    result = explore(program, Dpor(), _EVERYTHING)
    seconds = time.process_time() - start
    if not result.complete or result.findings:
        raise BenchmarkError(f"{configuration.actors}: {result.verdict}, findings: {list(result.findings)}")
    steps = program.steps + program.scheduler.steps
    return {
        "schedules": result.schedules,
        "classes": len(result.classes),
        "steps": steps,
        "schedule_ms": seconds / result.schedules * 1e3,
        "step_us": seconds / steps * 1e6,
        "seconds": seconds,
    }


def main() -> None:
    """Explore each configuration once."""
    parser = argparse.ArgumentParser(description="rates of complete explorations")
    parser.add_argument("--image", type=Path, help="explore two optimizers of this kernel's code too")
    options = parser.parse_args()
    gc.set_threshold(YOUNG)  # as the command line does
    target = registry().architecture(_TARGET).select(release=_RELEASE)
    model = {name: Configuration("", "", parse_actors(actors), split) for name, (actors, split) in _MODEL.items()}
    _rate(next(iter(model.values())), target)  # modules are imported, and code is specialized
    found = {name: _rate(configuration, target) for name, configuration in model.items()}
    code = None if options.image is None else code_engine("kernel", options.image, None, None)
    if code is not None:
        setup = code.setup
        target = select_target(setup.architecture, setup.mode, None, str(setup.release), [], setup)
        for split in (True, False):
            (configuration,) = select("optimize A, optimize B", None, split=split, code=code)
            found["kernel's code: two optimizers" + ", split" * split] = _rate(configuration, target)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
