# SPDX-License-Identifier: GPL-2.0-only
"""SIGINT during a run of the emulator stops it, and raises KeyboardInterrupt after it: none is dropped."""

from __future__ import annotations

import os
import signal
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from hvolab.arch import PageFault
from hvolab.arch.steps import RETURN
from hvolab_unicorn.cpu.emulated_cpu import EmulatedCpu
from hvolab_unicorn.emulator.interrupts import INTERRUPTS, start
from hvolab_unicorn.emulator.library import call_at
from hvolab_unicorn.emulator.watchdog import WATCHDOG
from tests.plugins.hvolab_unicorn.twins import ARCHITECTURES, lab, pages

unicorn = pytest.importorskip("unicorn", reason="no emulator: pip install 'hvolab[emulation]'")

CODE = 0x1000
#: jmp to the next instruction, which is a block; from there back to it, without end.
LOOP = bytes.fromhex("eb00ebfe")
#: Instructions that take longer than any signal here.
LIMIT = 1 << 28
EACH = pytest.mark.parametrize("architecture", ARCHITECTURES)


@pytest.fixture(autouse=True)
def python_handles_signals() -> Iterator[None]:
    """Python's default handler, as at the start of a program: other tests' CPUs may still be alive."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
    assert not INTERRUPTS.noted


@pytest.fixture
def uc() -> Iterator[Any]:
    made = unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_64)
    made.mem_map(CODE, 0x1000)
    made.mem_write(CODE, LOOP)
    watch = WATCHDOG.watch(made)
    yield made
    del watch


@contextmanager
def signal_after(seconds: float) -> Iterator[None]:
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        yield
    finally:
        timer.join()


def test_a_signal_in_a_callback_is_raised_after_the_run_and_the_callback_ends_first(uc: Any) -> None:
    ended = []

    def callback() -> None:
        signal.raise_signal(signal.SIGINT)
        ended.append(True)

    held = call_at(uc, CODE + 2, callback)
    with pytest.raises(KeyboardInterrupt):
        start(uc, CODE, 0, LIMIT)
    assert ended
    assert held is not None


def test_signals_that_come_between_callbacks_are_not_dropped(uc: Any) -> None:
    """Python would raise KeyboardInterrupt at the callback's first instruction, where ctypes drops it."""
    held = call_at(uc, CODE + 2, lambda: None)
    for turn in range(20):
        with pytest.raises(KeyboardInterrupt), signal_after(0.001 * turn):
            start(uc, CODE, 0, LIMIT)
    assert held is not None


def test_a_run_without_callbacks_is_stopped(uc: Any) -> None:
    for turn in range(10):
        with pytest.raises(KeyboardInterrupt), signal_after(0.002 * turn):
            start(uc, CODE, 0)  # it has no other end


def test_a_run_within_a_callback_of_another_one_is_stopped_and_both_end(uc: Any) -> None:
    inner = unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_64)
    inner.mem_map(CODE, 0x1000)
    inner.mem_write(CODE, LOOP)
    uc.hook_add(unicorn.UC_HOOK_BLOCK, lambda *_: start(inner, CODE, 0, LIMIT), None, CODE, CODE)
    with pytest.raises(KeyboardInterrupt), signal_after(0.02):
        start(uc, CODE, 0, LIMIT)


def test_outside_of_runs_a_signal_is_raised_where_it_comes(uc: Any) -> None:
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    assert uc.emu_stop() is None


@EACH
def test_a_step_is_interrupted_and_the_cpu_works_on(architecture: str) -> None:
    machine, cpu = lab(architecture)
    (page,) = pages(machine, 1)
    routine, end = cpu.vcpu.routines["store"], cpu.vcpu.area.block + RETURN
    cpu.store_word(page, 1)
    for turn in range(3):
        with pytest.raises(KeyboardInterrupt), signal_after(0.01 * turn):
            cpu.store_word(end, routine.begin)  # the step returns to its own begin
        cpu.vcpu.area.put_word(end, cpu.vcpu.exit)
        assert cpu.load_word(page) == 1


@EACH
def test_interrupted_faults_are_not_mistaken_later(architecture: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = lab(architecture).cpu
    hole = cpu.vcpu.area.text_va + 4 * cpu.vcpu.area.text_bytes
    raised = cpu.vcpu.exceptions.clear

    def interrupted() -> None:
        monkeypatch.setattr(cpu.vcpu.exceptions, "clear", raised)
        signal.raise_signal(signal.SIGINT)

    for access in (cpu.load_word, cpu.fetch):
        monkeypatch.setattr(cpu.vcpu.exceptions, "clear", interrupted)
        with pytest.raises(KeyboardInterrupt):
            access(hole)
        with pytest.raises(PageFault, match=f"{hole:#x}"):
            access(hole)


@pytest.mark.slow
@EACH
def test_random_signals_during_faults_and_steps_all_arrive(architecture: str) -> None:
    cpu = lab(architecture).cpu
    hole = cpu.vcpu.area.text_va + 4 * cpu.vcpu.area.text_bytes
    for turn in range(20):
        with pytest.raises(KeyboardInterrupt), signal_after(0.0013 * turn):
            keep_faulting(cpu, hole)


def keep_faulting(cpu: EmulatedCpu, hole: int) -> None:
    while True:
        with pytest.raises(PageFault):
            cpu.load_word(hole)


def test_a_signal_in_a_finalizer_is_raised_after_it(uc: Any) -> None:
    class Thing:
        pass

    ended = []

    def finalizer() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        ended.append(True)

    def wait() -> None:
        thing = Thing()
        weakref.finalize(thing, finalizer)
        del thing
        while True:
            pass

    with pytest.raises(KeyboardInterrupt):
        wait()
    assert ended
    assert uc is not None


def test_the_default_handler_is_replaced_while_there_are_cpus_and_no_other_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(WATCHDOG, "_watches", weakref.WeakSet())
    emulator = unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_64)
    watches = [WATCHDOG.watch(emulator) for _ in range(2)]
    assert INTERRUPTS.installed
    watches.pop()
    assert INTERRUPTS.installed
    watches.pop()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.set_wakeup_fd(-1) == -1
    own = signal.Handlers.SIG_IGN
    signal.signal(signal.SIGINT, own)
    watch = WATCHDOG.watch(emulator)
    assert signal.getsignal(signal.SIGINT) is own
    del watch
    assert signal.getsignal(signal.SIGINT) is own


def test_a_cpu_of_another_thread_changes_no_handler_and_leaves_signals_to_the_main_one(uc: Any) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    thread = threading.Thread(target=WATCHDOG.watch, args=(uc,))
    thread.start()
    thread.join()
    assert not INTERRUPTS.installed
    watch = WATCHDOG.watch(uc)
    running = threading.Thread(target=start, args=(uc, CODE, 0, LIMIT))
    running.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    finally:
        while running.is_alive():
            uc.emu_stop()
            running.join(0.01)
    assert watch is not None


def test_a_child_of_a_fork_is_interrupted_and_not_its_parent(uc: Any) -> None:
    child = os.fork()
    if child == 0:
        try:
            with signal_after(0.01):
                start(uc, CODE, 0, LIMIT)
        except KeyboardInterrupt:
            os._exit(0)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    with pytest.raises(KeyboardInterrupt), signal_after(0.01):
        start(uc, CODE, 0, LIMIT)
