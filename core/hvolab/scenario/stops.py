# SPDX-License-Identifier: GPL-2.0-only
"""Errors that end an operation, as events of the trace: what happened, to which folio, in which function."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from types import TracebackType

from hvolab.arch import PageFault
from hvolab.errors import EngineError, HvolabError, KernelBug, MachineError, UsageError
from hvolab.hugetlb import Pool
from hvolab.machine import Machine
from hvolab.trace import Stopped

#: Functions that a finding lists, innermost first.
_FUNCTIONS = 4
_CORE = Path(__file__).parents[1]
#: Folders whose functions it leaves out: those that watch, and the machine.
_LEFT_OUT = frozenset(
    _CORE / room
    for room in ("", "scenario", "invariants", "invariants/rules", "machine", "machine/cpus", "machine/struct_pages")
)


def is_finding(error: BaseException, *, in_engine: bool, own_engine: bool) -> bool:
    """Return whether an error that ended an operation is a finding about the engine, and not of hvolab or its user.

    in_engine   the engine was running
    own_engine  the engine is hvolab's own model: an exception in it that is no HvolabError is a fault of hvolab
    """
    if isinstance(error, HvolabError):
        wrong_use = isinstance(error, UsageError | MachineError) and not _of_an_access(error.__traceback__)
        return in_engine or error.is_finding or not wrong_use
    if isinstance(error, KeyboardInterrupt | GeneratorExit | MemoryError):
        return False
    return not own_engine and (in_engine or isinstance(error, Exception))


@contextmanager
def as_findings(machine: Machine, *, in_engine: bool, own_engine: bool) -> Iterator[None]:
    """Raise EngineError for what ends the engine in the ``with`` block; the arguments are those of `is_finding`."""
    try:
        yield
    except BaseException as error:
        finding = is_finding(error, in_engine=in_engine, own_engine=own_engine)
        if not finding or (isinstance(error, HvolabError) and error.is_finding):
            raise
        event = stopped(error, machine, (), {})
        raise EngineError(event.what, where=event.where) from error


def _of_an_access(raised: TracebackType | None) -> bool:
    """Return whether an error is that of a CPU's access: an unaligned address comes from memory, not from the user."""
    files = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(raised)]
    return bool(files) and any(Path(file).parent == _CORE / "machine" / "cpus" for file in files)


def stopped(
    error: BaseException, machine: Machine, pools: Iterable[Pool], seen: Mapping[int, int], call: int | None = None
) -> Stopped:
    """Return the event of an operation that an error ended.

    seen  bytes of the vmemmap of folios that are in no pool any more
    call  first folio of the engine's call, None if it was not called
    """
    va = error.fault.va if isinstance(error, PageFault) else getattr(error, "va", None)
    return Stopped(_what(error, machine), _functions(error.__traceback__), _folio_at(va, machine, pools, seen), call)


def _what(error: BaseException, machine: Machine) -> str:
    """Return an error in words."""
    if isinstance(error, PageFault):
        fault = error.fault
        entry = f", entry {machine.target.describe(fault.level, fault.raw)}" if fault.raw else ""
        access = (fault.access.name or "access").lower()
        return f"{fault.kind.value} fault of CPU {fault.cpu}: {access} at VA {fault.va:#x}{entry}"
    if isinstance(error, HvolabError):
        kind = "BUG()" if isinstance(error, KernelBug) else error.code
        return "; ".join(filter(None, (f"{kind}: {error.what}", error.where, error.rule)))
    return f"{type(error).__name__}: {error}"


def _functions(raised: TracebackType | None) -> str:
    """Return the functions that led to an error, innermost first, without those of the machine and the scenario."""
    frames = [(frame.f_code, line) for frame, line in traceback.walk_tb(raised)]
    shown = [(code, line) for code, line in frames if Path(code.co_filename).parent not in _LEFT_OUT] or frames
    names = [f"{code.co_qualname}() ({Path(code.co_filename).name}:{line})" for code, line in shown[::-1]]
    return " < ".join(names[:_FUNCTIONS])


def _folio_at(va: int | None, machine: Machine, pools: Iterable[Pool], seen: Mapping[int, int]) -> int | None:
    """Return the folio of a pool, or else one of ``seen``, whose vmemmap has a VA; None for none."""
    if va is None:
        return None
    size = machine.struct_pages.layout.size
    sized = ((folio, size << pool.h.order) for pool in pools for folio in pool.live)
    return next((folio for folio, span in chain(sized, seen.items()) if folio <= va < folio + span), None)
