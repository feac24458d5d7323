# SPDX-License-Identifier: GPL-2.0-only
"""The page of errors, generated from the docstrings of their classes."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator

from hvolab.errors import HvolabError

#: Modules that define errors, in the order of the page.
MODULES = (
    "hvolab.errors",
    "hvolab.arch",
    "hvolab.invariants",
    "hvolab_unicorn.emulator.errors",
    "hvolab_vmlinux.errors",
    "hvolab_kernel.running.handlers",
    "hvolab_kernel.build.toolchain",
    "hvolab_boot.qemu.monitor",
)


def kinds() -> list[type[HvolabError]]:
    """Return every kind of error, those of core first, by module and in the order in which they are defined there."""
    for module in MODULES:
        importlib.import_module(module)
    own = [kind for kind in _below(HvolabError) if kind.__module__.partition("_")[0].partition(".")[0] == "hvolab"]
    return sorted(own, key=lambda kind: (kind.__module__.partition(".")[0] != "hvolab", kind.__module__))


def _below(kind: type[HvolabError]) -> Iterator[type[HvolabError]]:
    for each in kind.__subclasses__():
        yield each
        yield from _below(each)


def errors() -> str:
    """Return a section for every kind of error: code, cause, remedy and exit code."""
    return "\n".join(map(_section, kinds()))


def _section(kind: type[HvolabError]) -> str:
    cause, *others = inspect.cleandoc(kind.__doc__ or "").split("\n\n")
    lines = [f"`{kind.__name__}`, exit code {1 if kind.is_finding else 2}", f"**Cause.** {cause}"]
    lines += [f"**Remedy.** {' '.join(others[-1].split())}"] if others else []
    return f"## {kind.code}\n\n" + "\n\n".join(" ".join(line.split()) for line in lines) + "\n"
