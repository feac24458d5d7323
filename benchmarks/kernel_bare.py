# SPDX-License-Identifier: GPL-2.0-only
"""Yardstick of running a kernel's own code: bare unicorn that runs its functions.

The image is outside the machine's memory and is mapped as hvolab maps it. All else is the shortest way by unicorn's
Python interface: one hook for each function that has a stub, frames from a stack, and nothing counted or recorded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import unicorn

from hvolab.machine import Machine
from hvolab.release.gfp import GFP_KERNEL
from hvolab_kernel.code.stubs import Stub, StubAction, stubs_of
from hvolab_kernel.running.abi import convention_of
from hvolab_kernel.running.loader import LoadedKernel
from hvolab_unicorn.cpu import instance
from hvolab_unicorn.families import family_of
from hvolab_vmlinux.kernel import Kernel

_ALLOCATING = {StubAction.ALLOCATE, StubAction.ALLOCATE_ADDRESS, StubAction.ALLOCATE_ZEROED}
_FREEING = {StubAction.FREE, StubAction.FREE_TABLE, StubAction.FREE_BOOT}
_FLUSHING = {StubAction.FLUSH_RANGE, StubAction.FLUSH_ALL}
_FLUSH = (unicorn.unicorn_const.UC_CTL_TLB_FLUSH, unicorn.unicorn_const.UC_CTL_IO_WRITE)


class BareKernel:
    """A kernel on bare unicorn, on a machine, with so many frames to allocate."""

    def __init__(self, machine: Machine, kernel: Kernel, frames: int) -> None:
        part = machine.target.architecture.emulation
        assert part is not None  # noqa: S101 - a kernel that runs is of an architecture that has one
        family, convention = family_of(part.emulator[0]), convention_of(kernel.image.machine)
        self._kernel = kernel
        self.loaded = loaded = LoadedKernel(machine, kernel)
        uc = self._uc = instance.make_instance(part, machine.target, family)
        for memory in (machine.memory, loaded.memory):
            uc.mem_map_ptr(memory.base, memory.size, unicorn.UC_PROT_ALL, memory.octets.ctypes.data)
        instance.apply(uc, part.settings(machine.target, loaded.root), family)
        register = family.register
        if convention.per_cpu:
            uc.reg_write(register(convention.per_cpu), loaded.per_cpu.va)
        if convention.current:
            uc.reg_write(register(convention.current), kernel.symbols.address("init_task"))
        self._arguments = tuple(map(register, convention.arguments))
        self._result, self._stack = register(convention.result), register(convention.stack)
        self._link = register(convention.link) if convention.link else None
        self._machine = machine
        free = [machine.alloc_pages(GFP_KERNEL, 0) for _ in range(frames)]
        self._frames = [machine.struct_pages.va(pfn) for pfn in free if pfn is not None]
        for one in stubs_of(kernel):
            loaded.replace(one.va, convention.returning)
            uc.hook_add(unicorn.UC_HOOK_BLOCK, self._stub(one.stub), None, one.va, one.va)

    def _stub(self, one: Stub) -> Callable[[Any, int, int, object], None]:
        """Return the hook of a function that has a stub."""
        frames, first, result, zero = self._frames, self._arguments[0], self._result, self._machine.memory.zero
        pfn = self._machine.struct_pages.pfn

        def allocate(uc: Any, _: int, __: int, ___: object) -> None:
            page = frames.pop()
            zero(pfn(page), 1)
            uc.reg_write(result, page)

        def free(uc: Any, _: int, __: int, ___: object) -> None:
            frames.append(uc.reg_read(first))

        def flush(uc: Any, _: int, __: int, ___: object) -> None:
            uc.ctl(*_FLUSH)

        def nothing(uc: Any, _: int, __: int, ___: object) -> None:
            uc.reg_write(result, 0)

        if one.action in _ALLOCATING:
            return allocate
        if one.action in _FREEING:
            return free
        return flush if one.action in _FLUSHING else nothing

    def call(self, function: str, *arguments: int) -> None:
        """Call a function of the kernel."""
        uc, loaded = self._uc, self.loaded
        end, top = loaded.exit, loaded.stack.end - 0x100
        if self._link is None:
            top -= 8
            loaded.memory.view(loaded.pa(top), 8)[:] = np.frombuffer(end.to_bytes(8, "little"), np.uint8)
        else:
            uc.reg_write(self._link, end)
        uc.reg_write(self._stack, top)
        for register, value in zip(self._arguments, arguments, strict=False):
            uc.reg_write(register, value)
        uc.ctl(*_FLUSH)
        uc.emu_start(self._kernel.symbols.address(function), end)
