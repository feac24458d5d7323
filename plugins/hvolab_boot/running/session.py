# SPDX-License-Identifier: GPL-2.0-only
"""One boot: QEMU is started, the guest does the steps of a plan, and its readings and memory are taken after each."""

from __future__ import annotations

import shlex
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from hvolab.errors import HvolabError
from hvolab_boot.cores.cut import cut, text_of
from hvolab_boot.guest.console import DEFAULT_PATIENCE, Answer, GuestConsole, GuestEnd, Patience
from hvolab_boot.guest.readings import Readings, pool_path, read_guest
from hvolab_boot.qemu.machines import NO_OPTIONS, ModeOptions, QemuMachine
from hvolab_boot.qemu.monitor import QemuError
from hvolab_boot.qemu.process import Qemu
from hvolab_boot.running.plan import Plan, writes_of
from hvolab_vmcore.core.snapshot import SnapshotOptions
from hvolab_vmcore.scan.releases import open_scan

#: Name of the stage before the first step.
BOOTED: Final = "boot"
_OPTIMIZE: Final = "hugetlb_free_vmemmap=on"
#: A panic ends QEMU instead of waiting for a person, and no message is lost. Kernel: kernel-parameters.txt, v6.12.
_QUIET: Final = "panic=-1 loglevel=7 log_buf_len=4M"
#: Lines of the log that are shown as progress, at most so many characters of each.
_SHOWN: Final = 60
#: Part of the memory that a stress makes huge pages of, as its divisor.
_STRESSED: Final = 8


@dataclass(frozen=True)
class BootSpec:
    """Specification of a boot.

    image      file that QEMU loads
    initramfs  initial RAM file system
    machine    QEMU's machine
    plan       operations
    mode       options of the paging mode
    memory     bytes of RAM
    cpus       number of CPUs
    cpu        CPU model with properties; None: the machine's
    boot       further parameters of the kernel's command line
    kvm        the computer runs the guest's code itself
    patience   how long the guest may print nothing
    requested  name of the paging mode that was requested; None: any is right
    keep       folder for the cores and the report; None: they are not kept
    stress     seconds of stress after the plan; 0: none
    """

    image: Path
    initramfs: bytes
    machine: QemuMachine
    plan: Plan
    mode: ModeOptions = NO_OPTIONS
    memory: int = 1 << 30
    cpus: int = 1
    cpu: str | None = None
    boot: str = ""
    kvm: bool = False
    patience: Patience = DEFAULT_PATIENCE
    requested: str | None = None
    keep: Path | None = None
    stress: int = 0

    @property
    def command_line(self) -> str:
        """The kernel's command line; what comes later wins."""
        parts = (self.machine.console, _QUIET, _OPTIMIZE, self.mode.boot, self.plan.boot, self.boot)
        return " ".join(part for part in parts if part)

    def command(self, initramfs: Path) -> list[str]:
        """Return QEMU's command, without console and monitor."""
        model = self.cpu or ",".join(filter(None, ("host" if self.kvm else self.machine.cpu, self.mode.cpu)))
        return [
            *(self.machine.program, "-machine", self.machine.machine, "-accel", "kvm" if self.kvm else "tcg"),
            *("-cpu", model, "-smp", str(self.cpus), "-m", f"{self.memory >> 20}M"),
            *("-kernel", str(self.image), "-initrd", str(initramfs), "-append", self.command_line),
        ]


@dataclass(frozen=True)
class Stage:
    """State of the guest after a step.

    name      the step
    readings  the kernel's own report
    core      file with the part of its memory that HVO uses; None: it cannot be read
    unread    why the memory cannot be read; empty: it can
    errors    errors of the writes to sysfs that did the step, in sentences
    done      how often a stress did what; None: the step was no stress
    """

    name: str
    readings: Readings
    core: Path | None
    unread: str = ""
    errors: tuple[str, ...] = ()
    done: tuple[str, ...] | None = None


@dataclass
class Session:
    """A boot, as far as it has come.

    command  QEMU's command, to start it by hand; `initramfs` is hvolab's own
    stages   stages that were taken
    log      lines that the kernel printed on its console
    end      why the guest ended before its plan did, in a sentence; empty: it did all
    seconds  from the start of QEMU to its end
    cpu_seconds  seconds that QEMU ran
    """

    command: str = ""
    stages: list[Stage] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    end: str = ""
    seconds: float = 0.0
    cpu_seconds: float = 0.0


def run_session(spec: BootSpec, folder: Path, on_step: Callable[[str], None]) -> Session:
    """Boot, do the plan, and stop QEMU; what a guest that ends early has done until then is in the result.

    folder   where cores are written
    on_step  is called with what is being done
    Raises QemuError where QEMU cannot be started.
    """
    session = Session()
    initramfs = folder / "initramfs"
    initramfs.write_bytes(spec.initramfs)
    session.command = shlex.join(spec.command(Path(initramfs.name)))
    started = time.monotonic()
    on_step("starting QEMU")
    with Qemu(spec.command(initramfs)) as qemu:
        console = GuestConsole(
            qemu.output, qemu.input, lambda: qemu.cpu_seconds, spec.patience, lambda line: on_step(_shown(line))
        )
        try:
            _Driver(spec, qemu, console, folder, on_step).run(session)
        except (GuestEnd, QemuError) as end:
            session.end = str(end)
        finally:
            session.log = console.log
            session.seconds, session.cpu_seconds = time.monotonic() - started, qemu.cpu_seconds
            console.close()
    return session


def _shown(line: str) -> str:
    return f"booting: {line[:_SHOWN]}"


class _Driver:
    """Driver of a guest: sends it the plan, and takes its stages."""

    def __init__(
        self, spec: BootSpec, qemu: Qemu, console: GuestConsole, folder: Path, on_step: Callable[[str], None]
    ) -> None:
        self._spec, self._qemu, self._console, self._folder, self._on_step = spec, qemu, console, folder, on_step
        self._note: Path | None = None

    def run(self, session: Session) -> None:
        """Do all steps; raises GuestEnd."""
        self._console.wait_until_ready()
        session.stages.append(self._stage(BOOTED, 0))
        for number, step in enumerate(self._spec.plan.steps, start=1):
            self._on_step(f"the guest does: {step}")
            present = [pool.size for pool in session.stages[0].readings.pools]
            writes = writes_of(step, present)
            errors = [_error(path, self._console.ask(f"w {path} {value}")) for path, value in writes]
            session.stages.append(self._stage(str(step), number, tuple(filter(None, errors))))
        if self._spec.stress:
            session.stages.append(self._stressed(len(session.stages)))

    def _stressed(self, number: int) -> Stage:
        """Return the stage after a stress of the pool of the smallest size in the plan."""
        spec, path = self._spec, f"{pool_path(self._spec.plan.smallest)}/nr_hugepages"
        count = max(1, spec.memory // _STRESSED // spec.plan.smallest)
        self._on_step(f"the guest changes its pool for {spec.stress} s")
        answer = self._console.ask(f"s {spec.stress} {spec.cpus} {count} {path}")
        error = _error(path, answer)
        made = self._stage(f"stress {spec.stress}", number, (error,) if error else ())
        return replace(made, done=tuple(line for line in answer.lines if line))

    def _stage(self, name: str, number: int, errors: tuple[str, ...] = ()) -> Stage:
        readings = read_guest(self._console.ask, self._spec.plan.sizes, self._spec.plan.page_size)
        self._on_step(f"taking the memory after: {name}")
        path = self._folder / f"{number}.core"
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            whole = Path(folder) / "whole"
            self._dump(whole)
            try:
                self._cut(whole, path)
            except HvolabError as error:  # the kernel has no VMCOREINFO, or its tables are broken
                return Stage(name, readings, None, str(error), errors)
        return Stage(name, readings, path, "", errors)

    def _dump(self, path: Path) -> None:
        """Write all memory of the guest to a file, while it is stopped."""
        self._qemu.monitor.execute("stop")
        try:
            self._qemu.monitor.execute("dump-guest-memory", paging=False, protocol=f"file:{path}")
        finally:
            self._qemu.monitor.execute("cont")

    def _cut(self, whole: Path, path: Path) -> None:
        """Write what HVO uses of the whole memory to a file."""
        scan = open_scan(whole, SnapshotOptions(vmcoreinfo=self._note))
        if self._note is None:
            self._note = self._folder / "vmcoreinfo"
            self._note.write_bytes(text_of(scan))
        path.write_bytes(cut(scan))


def _error(path: str, answer: Answer) -> str:
    """Return what went wrong with a write, empty for nothing."""
    return f"a write to {path} failed: -{answer.error}" if answer.error else ""
