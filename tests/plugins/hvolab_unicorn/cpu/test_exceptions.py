# SPDX-License-Identifier: GPL-2.0-only
"""Exceptions of the guest: a thousand in a row, and no hook that keeps a CPU alive."""

from __future__ import annotations

import gc
import weakref

import pytest

from hvolab.arch import PageFault
from hvolab_unicorn.cpu.emulated_cpu import EmulatedCpu
from tests.plugins.hvolab_unicorn.raw import cpu_of, unmapped
from tests.plugins.hvolab_unicorn.twins import ARCHITECTURES


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_handler_takes_a_thousand_faults_in_a_row(architecture: str) -> None:
    cpu = cpu_of(architecture, handler=True)
    va = unmapped(cpu)
    seen = set()
    for _ in range(1000):
        with pytest.raises(PageFault) as caught:
            cpu.store_word(va, 1)
        seen.add(caught.value.fault)
    assert len(seen) == 1
    assert cpu.load_word(cpu.vcpu.area.block) == cpu.vcpu.area.block


def faults(cpu: EmulatedCpu) -> bool:
    """Whether a load where nothing is mapped faults; the exception, which holds frames, is gone."""
    try:
        cpu.load_word(unmapped(cpu))
    except PageFault:
        return True
    return False


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("handler", [False, True])
def test_a_cpu_that_nobody_holds_is_gone_at_once(architecture: str, handler: bool) -> None:  # noqa: FBT001
    """A hook holds the emulator that holds it: here it does not, and no collection is needed."""
    cpu = cpu_of(architecture, handler=handler)
    assert faults(cpu)
    emulator, whole = weakref.ref(cpu.vcpu.uc), weakref.ref(cpu)
    gc.disable()
    try:
        del cpu
        assert whole() is None
        assert emulator() is None
    finally:
        gc.enable()
