# SPDX-License-Identifier: GPL-2.0-only
"""A CPU without bulk operations, as an out-of-tree CPU or the wrapper of an explorer is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

from hvolab.machine import Cpu, Machine, ModelCpu

#: The operations that the interface demands.
PRIMITIVES = frozenset(name for name, member in vars(Cpu).items() if callable(member) and not name.startswith("_"))


class PrimitiveCpu:
    """Passes each operation of the interface on to a modeled CPU, inside a context; it has nothing else."""

    def __init__(self, cpu: Cpu, around: Callable[[str], AbstractContextManager[Any]]) -> None:
        self.index = cpu.index
        self._cpu = cpu
        self._around = around

    def __getattr__(self, name: str) -> Any:
        if name not in PRIMITIVES:
            raise AttributeError(name)

        def operation(*arguments: Any) -> Any:
            with self._around(name):
                return getattr(self._cpu, name)(*arguments)

        return operation


def primitive_cpu(
    machine: Machine, index: int, around: Callable[[str], AbstractContextManager[Any]] = nullcontext
) -> Cpu:
    """Make a modeled CPU without bulk operations."""
    cpu = ModelCpu(index, machine.memory, machine.tables, machine.trace)
    return cast("Cpu", PrimitiveCpu(cpu, around))
