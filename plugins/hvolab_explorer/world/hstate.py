# SPDX-License-Identifier: GPL-2.0-only
"""Hstate whose counters are in the footprint of the step under way."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Self

from hvolab.hugetlb import Hstate
from hvolab_explorer.steps.scheduler import Scheduler

_CONSTANT = {"huge_page", "order", "gigantic", "freelists", "demote_order"}
_CHANGING = frozenset(each.name for each in fields(Hstate)) - _CONSTANT


class ExploredHstate(Hstate):
    """Hstate whose counters are read and written within the step under way.

    The pool reads and writes them under hugetlb_lock, so that they need no steps of their own; an access without the
    lock is ordered with the others, but cannot come between two writes of one step.
    """

    __slots__ = ("_scheduler",)
    _scheduler: Scheduler

    @classmethod
    def of(cls, h: Hstate, scheduler: Scheduler) -> Self:
        """Return the hstate with footprints."""
        made = cls.__new__(cls)
        object.__setattr__(made, "_scheduler", scheduler)
        vars(made).update(vars(h))
        return made

    def __getattribute__(self, name: str) -> Any:
        """Return an attribute; a list or dictionary may be changed by the caller."""
        value = object.__getattribute__(self, name)
        if name in _CHANGING:
            footprint = object.__getattribute__(self, "_scheduler").footprint
            (footprint.writes if isinstance(value, list | dict) else footprint.reads).add(("hstate", name))
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute."""
        self._scheduler.footprint.writes.add(("hstate", name))
        object.__setattr__(self, name, value)
