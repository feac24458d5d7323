# SPDX-License-Identifier: GPL-2.0-only
"""Worlds in which a kernel's own code is explored."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hvolab.hvo import EngineSetup
from hvolab.release import StructPageLayout
from hvolab_explorer.exploration import Limits, Result, explore
from hvolab_explorer.runs.configuration import Configuration, parse_actors
from hvolab_explorer.search.dpor import Dpor
from hvolab_explorer.world.code import CodeWorld
from hvolab_explorer.world.machine import WorldOptions
from hvolab_explorer.world.world import WorldProgram
from hvolab_kernel.comparison import target_of
from hvolab_kernel.comparison.setup import setup_of
from hvolab_kernel.identify.struct_pages import struct_page_layout
from hvolab_kernel.interleaving.code import KernelCode
from hvolab_vmlinux.kernel import Kernel


@dataclass(frozen=True, eq=False)
class EngineOf:
    """The HVO of an open kernel; functions ``without`` code have ``code`` instead, by default x86's return."""

    kernel: Kernel
    without: tuple[str, ...] = ()
    code: bytes = b"\xc3"
    identity: str = "kernel"
    assumptions: tuple[str, ...] = ()

    @property
    def layout(self) -> StructPageLayout:
        return struct_page_layout(self.kernel)

    @property
    def setup(self) -> EngineSetup:
        return setup_of(self.kernel, None)

    def load(self, world: CodeWorld) -> KernelCode:
        code = KernelCode(world, self.kernel)
        for function in self.without:
            code.loaded.replace(self.kernel.symbols.address(function), self.code)
        return code


def program(engine: EngineOf, actors: str, *, split: bool = True, options: WorldOptions | None = None) -> WorldProgram:
    """Actors on a new machine of a kernel."""
    made = Configuration("", "", parse_actors(actors), split, options or WorldOptions())
    return replace(made, code=engine).program(target_of(engine.kernel))


def explored(made: WorldProgram, *, seconds: float = 60) -> Result:
    """Everything that the default search finds."""
    return explore(made, Dpor(), Limits(seconds=seconds, first_finding=False))


def code_of(made: WorldProgram) -> KernelCode:
    """The kernel's code in the world of a program."""
    code = made.world.code
    assert isinstance(code, KernelCode)
    return code
