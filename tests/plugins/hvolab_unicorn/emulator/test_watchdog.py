# SPDX-License-Identifier: GPL-2.0-only
"""Guests that do not come to an end are stopped, and told with their instructions and registers; others are not."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hvolab.arch import Architecture
from hvolab.arch.steps import RETURN
from hvolab.arithmetic import WORD_BYTES
from hvolab.errors import HvolabError
from hvolab.machine import Machine, MachineSpec, build_machine
from hvolab.machine.cpus.bulk import bulk_of
from hvolab.plugin import registry
from hvolab_unicorn import emulate
from hvolab_unicorn.cpu import vcpu
from hvolab_unicorn.cpu.emulated_cpu import EmulatedCpu
from hvolab_unicorn.emulator import watchdog
from hvolab_unicorn.emulator.errors import EmulatorError, GuestStuckError
from hvolab_unicorn.emulator.interrupts import HANDLED, INTERRUPTS, Interrupts, start
from hvolab_unicorn.emulator.library import unicorn
from hvolab_unicorn.emulator.watchdog import WATCHDOG, Watchdog, _Pipe
from tests.plugins.hvolab_unicorn.twins import ARCHITECTURES, MIB, lab, pages

#: An instruction that jumps to itself, and one that does not exist.
ENDLESS = {"x86_64": "ebfe", "arm64": "00000014", "riscv": "6f000000"}
UNDEFINED = {"x86_64": "0f0b", "arm64": "00000000", "riscv": "00000000"}
#: Turns of a loop that takes a moment.
TURNS = 20_000_000
EACH = pytest.mark.parametrize("architecture", ARCHITECTURES)


def broken(architecture: str, step: str, code: str) -> Machine:
    """A machine of an architecture that declares other instructions for a step."""
    lab(architecture)  # a right one: where the emulator's state has what is found out by steps that work
    whole = registry().architecture(architecture)
    assert whole.emulation is not None
    sequences = tuple(replace(s, code=code) if s.step == step else s for s in whole.emulation.sequences)
    wrong: Architecture = replace(whole, emulation=replace(whole.emulation, sequences=sequences))
    return build_machine(wrong.select(), MachineSpec(memory=64 * MIB))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A watchdog that looks often and waits for three ticks."""
    monkeypatch.setattr(watchdog, "TICK_SECONDS", 0.01)
    monkeypatch.setattr(vcpu, "TICKS", 3)
    WATCHDOG.pause()
    WATCHDOG.resume()


def works(cpu: EmulatedCpu) -> bool:
    return cpu.load_word(cpu.vcpu.area.block) == cpu.vcpu.area.block


@EACH
def test_a_step_that_loops_is_stopped_and_told_with_its_instructions(architecture: str) -> None:
    cpu = emulate(broken(architecture, "store", ENDLESS[architecture]))[0]
    for _ in range(2):
        with pytest.raises(GuestStuckError, match=r"store does not come to its end; where: .*=0x.*-> 0x.* (j|b)"):
            cpu.store_word(cpu.vcpu.area.block, 1)
    assert works(cpu)


@EACH
@pytest.mark.usefixtures("impatient")
def test_a_step_that_has_ended_before_is_stopped_where_data_makes_it_endless(architecture: str) -> None:
    """The guest overwrites the VA at which its step ends by that at which it begins."""
    machine, cpu = lab(architecture)
    (page,) = pages(machine, 1)
    end = cpu.vcpu.area.block + RETURN
    for _ in range(2):
        cpu.store_word(page, 1)
        with pytest.raises(GuestStuckError, match=r"store does not come to its end; where: .*=0x.*-> 0x"):
            cpu.store_word(end, cpu.vcpu.routines["store"].begin)
        cpu.store_words(np.array([page, page + 8], dtype=np.uint64), np.array([1, 2], dtype=np.uint64))
        with pytest.raises(GuestStuckError, match=r"store_words does not come to its end; where: .*=0x.*-> 0x"):
            cpu.store_words(
                np.array([page, end], dtype=np.uint64),
                np.array([1, cpu.vcpu.routines["store_words"].begin], dtype=np.uint64),
            )
    assert works(cpu)


@EACH
@pytest.mark.parametrize("length", [1, 2, 100, 5000])
def test_a_chain_without_an_end_is_told_by_both_kinds_of_cpu(architecture: str, length: int) -> None:
    machine, cpu = lab(architecture)
    vas = np.uint64(pages(machine, 16)[0]) + np.arange(3 + length, dtype=np.uint64) * np.uint64(8)
    nodes = vas.tolist()
    links = [*nodes[1:], nodes[3]]
    cpu.store_words(vas, np.array(links, dtype=np.uint64))
    with pytest.raises(GuestStuckError, match=r"load_chain follows a chain that comes back to VA 0x.*; where: .*=0x"):
        cpu.load_chain(nodes[0], 1)
    assert cpu.load_chain(nodes[0], nodes[-1]).tolist() == links[:-2]
    modeled = build_machine(machine.target, MachineSpec(memory=64 * MIB))
    there = pages(modeled, 16)
    assert there[0] == nodes[0]
    bulk = bulk_of(modeled.cpus[0])
    bulk.store_words(vas, np.array(links, dtype=np.uint64))
    with pytest.raises(HvolabError, match=r"a chain comes back to VA 0x.* and has no end"):
        bulk.load_chain(nodes[0], 1)
    assert works(cpu)


@EACH
@pytest.mark.parametrize("count", [4, 40])
def test_work_is_stopped_after_a_time_in_proportion_to_it(
    architecture: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test ticks for the watchdog, in the middle of the work: it does not depend on how long that takes."""
    monkeypatch.setattr(vcpu, "WORDS_PER_TICK", 256)
    machine, cpu = lab(architecture)
    size = machine.target.mode.page_size
    page = pages(machine, count + 1)[0]
    sources, copies = (np.full(count, va, dtype=np.uint64) for va in (page, page + size))
    copies += np.arange(count, dtype=np.uint64) * np.uint64(size)
    watch, left = cpu.vcpu._watch, [0]

    def tick(*_: object) -> None:
        while left[0]:
            left[0] -= 1
            watch.tick()

    cpu.vcpu.uc.hook_add(unicorn().unicorn_const.UC_HOOK_MEM_WRITE, tick)
    cpu.vcpu.uc.ctl_flush_tb()
    patience = 1 + watchdog.TICKS + count * size // WORD_BYTES // 256  # the first one notices the call
    WATCHDOG.pause()
    try:
        for number in range(2):
            cpu.store_word(page + size - WORD_BYTES, number)
            left[0] = patience - 1
            cpu.copy_pages(copies, sources)
            assert not left[0]
            assert cpu.load_word(page + (count + 1) * size - WORD_BYTES) == number
            left[0] = patience
            with pytest.raises(GuestStuckError, match="does not come to its end"):
                cpu.copy_pages(copies, sources)
    finally:
        WATCHDOG.resume()
    assert works(cpu)


@EACH
def test_a_call_that_is_stopped_for_another_one_goes_on(architecture: str) -> None:
    """The watchdog may come too late for the call that it means."""
    machine, cpu = lab(architecture)
    a, b = pages(machine, 2)
    vas = np.full(2000, a, dtype=np.uint64)
    cpu.copy_pages(vas, vas + np.uint64(b - a))
    ended = threading.Event()
    stops = 0

    def stop() -> None:
        nonlocal stops
        while not ended.is_set():
            cpu.vcpu.uc.emu_stop()
            stops += 1
            time.sleep(0.0002)

    thread = threading.Thread(target=stop)
    thread.start()
    try:
        for number in range(20):
            cpu.store_word(b + 8 * number, number)
            cpu.copy_pages(vas, vas + np.uint64(b - a))
            assert cpu.load_word(a + 8 * number) == number
    finally:
        ended.set()
        thread.join()
    assert stops


@pytest.mark.usefixtures("impatient")
def test_a_child_of_a_fork_is_watched_too() -> None:
    cpu = lab("x86_64").cpu
    assert works(cpu)
    child = os.fork()
    if child == 0:
        try:
            cpu.store_word(cpu.vcpu.area.block, 1)
            cpu.store_word(cpu.vcpu.area.block + RETURN, cpu.vcpu.routines["store"].begin)
        except GuestStuckError:
            os._exit(0)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    assert WATCHDOG._thread is not None
    assert WATCHDOG._thread.is_alive()


def test_the_watchdog_is_there_while_somebody_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "TICK_SECONDS", 0.001)

    class Emulator:
        def emu_stop(self) -> None:
            raise AssertionError("nothing runs")

    dog, emulator = Watchdog(Interrupts()), Emulator()
    watch: Any = dog.watch(emulator)
    thread = dog._thread
    assert thread is not None
    watch.ticks = 1
    time.sleep(0.02)
    assert thread.is_alive()
    del watch
    thread.join(5)
    assert not thread.is_alive()
    kept = dog.watch(emulator)
    assert dog._thread is not thread
    dog.pause()
    del kept
    dog.resume()
    assert dog._thread is None


@EACH
def test_an_instruction_that_does_not_exist_is_an_error_of_the_emulation(architecture: str) -> None:
    cpu = emulate(broken(architecture, "store", UNDEFINED[architecture]))[0]
    with pytest.raises(EmulatorError, match="store"):
        cpu.store_word(cpu.vcpu.area.block, 1)
    assert works(cpu)


@pytest.mark.parametrize(("handled", "stops"), [(b"", True), (bytes([HANDLED]), False)], ids=["pending", "handled"])
def test_a_run_is_stopped_for_a_signal_only_if_it_has_come_during_the_run(handled: bytes, *, stops: bool) -> None:
    library = unicorn()
    emulator = library.Uc(library.UC_ARCH_X86, library.UC_MODE_64)
    emulator.mem_map(0, 0x1000)
    emulator.mem_write(0, b"\x48\xff\xc0\xeb\xfb")  # increment RAX, and again
    pipe = _Pipe()
    os.write(pipe.write, handled)

    def interrupt() -> None:
        while INTERRUPTS.running() is None:
            time.sleep(0.001)
        WATCHDOG._interrupt(pipe, bytes([signal.SIGINT]))

    thread = threading.Thread(target=interrupt)
    thread.start()
    start(emulator, 0, 0x100, 2 * TURNS)
    thread.join()
    assert (emulator.reg_read(library.x86_const.UC_X86_REG_RAX) < TURNS) is stops
