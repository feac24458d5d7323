# SPDX-License-Identifier: GPL-2.0-only
"""Watch of a kernel's code on one machine: places of its calls and stores, locks, and calls that may not be made."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from hvolab.release.gfp import Gfp, describe
from hvolab.trace import CounterChanged, EntriesStored, Event, GracePeriod, KeyChanged, PagesAllocated
from hvolab_kernel.running import KernelHvo
from hvolab_kernel.running.balance import MMAP_LOCK, Balance
from hvolab_kernel.running.call_result import CodeContext

_VA: Final = re.compile(r"\bVA 0x([0-9a-f]+)")
#: The events by which a rule is kept.
_EVENT_OF: Final[dict[str, type[Event]]] = {"static_key": KeyChanged, "counters": CounterChanged}


class CodeWatch:
    """Listener on the machine of a kernel's code, for the steps of one case.

    Places are kept for the code of an object only, which has files and lines.
    """

    def __init__(self, hvo: KernelHvo) -> None:
        self._cpu = hvo.kernel_cpu
        self._placed = hvo.kernel.linked is not None
        self._page_size = hvo.machine.target.mode.page_size
        self._balance = Balance(self._cpu.loaded)
        self._before: Mapping[Any, int] = {}
        self._calls: list[CodeContext] = []
        self._entries: dict[int, CodeContext] = {}
        self._events: dict[type[Event], CodeContext] = {}

    def begin(self) -> None:
        """Begin a step: take the state of the locks."""
        self._before = self._balance.read()
        self._calls = []

    def begin_case(self) -> None:
        """Forget the case before."""
        self._entries.clear()
        self._events.clear()

    def __call__(self, event: Event, calls: int) -> None:
        """Note where the code is at an event of so many outside calls, and check that it may sleep if it does.

        Kernel: might_alloc() in include/linux/sched/mm.h, which tests __GFP_DIRECT_RECLAIM; synchronize_rcu(), v6.12.
        """
        if self._placed and (calls or isinstance(event, EntriesStored)):
            context = self._cpu.context()
            self._calls += [context] * calls
            if context.va:
                self._events[type(event)] = context
                if isinstance(event, EntriesStored):
                    end = event.va + event.after.size * self._page_size
                    self._entries.update(dict.fromkeys(range(event.va, end, self._page_size), context))
        if isinstance(event, GracePeriod) or (isinstance(event, PagesAllocated) and event.gfp & Gfp.DIRECT_RECLAIM):
            held = [name for name in self._balance.changed(self._before) if name != MMAP_LOCK]
            if held:
                call = (
                    "synchronize_rcu()"
                    if isinstance(event, GracePeriod)
                    else f"an allocation with {describe(event.gfp)}"
                )
                what = f"{call} may sleep, with {' and '.join(held)} held"
                self._cpu.report(" < ".join((what, *self._cpu.under_way())))

    def unbalanced(self) -> tuple[str, ...]:
        """Return the locks and counters that differ from before the step, with both values and the last call."""
        changed = self._balance.changed(self._before)
        return tuple(
            f"{name} is {new:#x}, and was {old:#x} before; {self.last()}" for name, (old, new) in changed.items()
        )

    # places

    def of_call(self, number: int) -> str:
        """Return the functions that made an outside call of the last step, 1 being the first; empty where unknown."""
        return self._text(self._calls[number - 1]) if 0 < number <= len(self._calls) else ""

    def of_text(self, text: str, rule: str = "") -> str:
        """Return the functions that last stored the entry of a VA in a text, or made the last call that a rule counts.

        Empty where neither is known.
        """
        for found in _VA.findall(text):
            context = self._entries.get(int(found, 16) & -self._page_size)
            if context is not None:
                return self._text(context)
        context = self._events.get(_EVENT_OF.get(rule, Event))
        return "" if context is None else self._text(context)

    def last(self) -> str:
        """Return the functions that made the last call out of HVO, after `after`; empty where there is none."""
        text = self._text(self._calls[-1]) if self._calls else ""
        return f"after {text}" if text else ""

    def _text(self, context: CodeContext) -> str:
        return " < ".join(self._cpu.places(context))
