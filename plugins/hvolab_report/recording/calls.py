# SPDX-License-Identifier: GPL-2.0-only
"""Kernel functions in progress: read from Python's stack, whose functions name in their docstrings what they model."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Hashable
from dataclasses import dataclass
from types import CodeType, FrameType

#: The part of a docstring that names kernel functions, up to the end of its sentence.
_KERNEL = re.compile(r"Kernel: (.*?)(?:\.(?=\s|$)|$)", re.DOTALL)
_NAME = re.compile(r"\b([a-z_]\w*)\(\)")
_FILE = re.compile(r"\b((?:mm|include|kernel|arch|lib)/[\w/.-]+\.[ch])\b")
_RELEASE = re.compile(r"\bv\d[\w.]*\d")
#: Packages whose functions are no calls: operations of a machine are steps, and a scenario stands before the kernel.
_LEFT_OUT = ("hvolab.hvo.update", "hvolab.machine", "hvolab.scenario")


@dataclass(frozen=True)
class KernelFunction:
    """A kernel function that a function of hvolab models.

    name     its name
    what     what it does, a sentence
    source   file that has it and release, as far as docstrings name them
    model    the function of hvolab, as `hvolab.hvo.remap.VmemmapRemap.free`
    """

    name: str
    what: str
    source: str
    model: str


@dataclass(frozen=True, eq=False)
class Call:
    """One call of a kernel function: two calls of one function differ."""

    function: KernelFunction


Calls = tuple[Call, ...]


class CallStack:
    """The kernel functions in progress, outermost first, on each of several CPUs.

    release  name of the kernel release, which chooses where a docstring names functions of several
    """

    def __init__(self, release: str) -> None:
        self._release = f"v{release}"
        self._functions: dict[CodeType, KernelFunction | None] = {}
        self._last: dict[Hashable, list[tuple[FrameType, Call]]] = {}

    def now(self, cpu: Hashable = 0) -> Calls:
        """Return the calls in progress in the calling thread, outermost first."""
        frames: list[tuple[FrameType, KernelFunction]] = []
        frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - inspect's way to it reads source files
        known = self._functions
        while frame is not None:
            code = frame.f_code
            function = known[code] if code in known else known.setdefault(code, self._function(frame))
            if function is not None:
                frames.append((frame, function))
            frame = frame.f_back
        frames = _without_repetition(frames[::-1])
        last = self._last.get(cpu, [])
        calls: list[tuple[FrameType, Call]] = []
        for depth, (frame, function) in enumerate(frames):
            same = depth == len(calls) < len(last) and last[depth][0] is frame
            if not same:
                last = last[:depth]
            calls.append((frame, last[depth][1] if same else Call(function)))
        self._last[cpu] = calls
        return tuple(call for _, call in calls)

    def forget(self) -> None:
        """Release the frames of the last events."""
        self._last.clear()

    def _function(self, frame: FrameType) -> KernelFunction | None:
        """Return the kernel function that a frame's function models; None: none, or it is an operation."""
        module, code = str(frame.f_globals.get("__name__", "")), frame.f_code
        text = code.co_consts[0] if code.co_consts else None
        if not isinstance(text, str) or module.startswith(_LEFT_OUT):
            return None
        return kernel_function(
            text, str(frame.f_globals.get("__doc__") or ""), f"{module}.{code.co_qualname}", self._release
        )


def _without_repetition(frames: list[tuple[FrameType, KernelFunction]]) -> list[tuple[FrameType, KernelFunction]]:
    """Leave out parts of a kernel function that are functions of their own here."""
    return [each for number, each in enumerate(frames) if not number or frames[number - 1][1].name != each[1].name]


def kernel_function(text: str, module_text: str, model: str, release: str) -> KernelFunction | None:
    """Return the kernel function that a docstring names; None if it names none.

    module_text  docstring of the module, which has the file or the release where the function's own has not
    release      as `v6.12`: of functions of several releases, those of this one are chosen
    """
    cleaned = inspect.cleandoc(text)
    found = _KERNEL.search(cleaned)
    if found is None:
        return None
    parts = [part for part in found[1].replace("\n", " ").split(";") if _NAME.search(part)]
    if not parts:
        return None
    chosen = next((part for part in parts if release in _RELEASE.findall(part)), parts[0])
    named = _NAME.search(chosen)
    of_module = _KERNEL.search(module_text)
    places = [chosen, of_module[1] if of_module else ""]
    source = [next((hit[0] for place in places if (hit := pattern.search(place))), "") for pattern in (_FILE, _RELEASE)]
    what = _KERNEL.sub("", cleaned.split("\n\n")[0].replace("\n", " ")).strip()
    return KernelFunction(named[1] if named else "", what, ", ".join(filter(None, source)), model)
