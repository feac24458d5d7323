# SPDX-License-Identifier: GPL-2.0-only
"""Doubly linked lists of the kernel: bytes in memory, accessed through a CPU. Kernel: include/linux/list.h, v6.12."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import numpy as np
import numpy.typing as npt

from hvolab.errors import KernelBug
from hvolab.machine.cpus.bulk import bulk_of
from hvolab.machine.cpus.cpu import Cpu

_NEXT, _PREV = 0, 8
#: Bytes of a list head.
SIZE = 16
#: Links that list_del() stores in a node: LIST_POISON1 and LIST_POISON2 on 64-bit machines.
POISON = (0xDEAD000000000100, 0xDEAD000000000122)
_WALK_RULE = "next->prev is the node itself: __list_del_entry_valid() in lib/list_debug.c"


def init(cpu: Cpu, head: int) -> None:
    """Make ``head`` an empty list. Kernel: INIT_LIST_HEAD()."""
    cpu.store_word(head + _NEXT, head)
    cpu.store_word(head + _PREV, head)


def empty(cpu: Cpu, head: int) -> bool:
    """Return whether the list has no node. Kernel: list_empty()."""
    return cpu.load_word(head + _NEXT) == head


def _insert(cpu: Cpu, node: int, before: int, after: int) -> None:
    if cpu.load_word(after + _PREV) != before or cpu.load_word(before + _NEXT) != after:
        raise KernelBug(f"list corruption before an insertion at VA {node:#x}", va=node, rule="__list_add_valid()")
    cpu.store_word(after + _PREV, node)
    cpu.store_word(node + _NEXT, after)
    cpu.store_word(node + _PREV, before)
    cpu.store_word(before + _NEXT, node)


def add(cpu: Cpu, node: int, head: int) -> None:
    """Insert ``node`` as the first. Kernel: list_add()."""
    _insert(cpu, node, head, cpu.load_word(head + _NEXT))


def add_tail(cpu: Cpu, node: int, head: int) -> None:
    """Insert ``node`` as the last. Kernel: list_add_tail()."""
    _insert(cpu, node, cpu.load_word(head + _PREV), head)


def unlink(cpu: Cpu, node: int) -> None:
    """Remove ``node``, without changing its own words. Kernel: __list_del_entry()."""
    after, before = cpu.load_word(node + _NEXT), cpu.load_word(node + _PREV)
    if cpu.load_word(after + _PREV) != node or cpu.load_word(before + _NEXT) != node:
        raise KernelBug(f"list corruption at VA {node:#x}", va=node, rule="__list_del_entry_valid()")
    cpu.store_word(after + _PREV, before)
    cpu.store_word(before + _NEXT, after)


def delete(cpu: Cpu, node: int) -> None:
    """Remove ``node`` and poison it. Kernel: list_del()."""
    unlink(cpu, node)
    cpu.store_word(node + _NEXT, POISON[0])
    cpu.store_word(node + _PREV, POISON[1])


def move(cpu: Cpu, node: int, head: int) -> None:
    """Remove ``node`` from its list and insert it as the first of another. Kernel: list_move()."""
    unlink(cpu, node)
    add(cpu, node, head)


def move_run(cpu: Cpu, run: npt.NDArray[np.uint64], head: int) -> None:
    """Move each node of ``run`` in turn, as :func:`move`; they must follow each other in their list."""
    first, last = int(run[0]), int(run[-1])
    if first == last:
        move(cpu, first, head)
        return
    before, after = cpu.load_word(first + _PREV), cpu.load_word(last + _NEXT)
    if cpu.load_word(before + _NEXT) != first or cpu.load_word(after + _PREV) != last:
        raise KernelBug(f"list corruption at VA {first:#x}", va=first, rule="__list_del_entry_valid()")
    cpu.store_word(after + _PREV, before)
    cpu.store_word(before + _NEXT, after)
    following = cpu.load_word(head + _NEXT)
    links = np.concatenate((np.array([head], np.uint64), run[::-1], np.array([following], np.uint64)))
    bulk = bulk_of(cpu)
    bulk.store_words(run[::-1] + np.uint64(_NEXT), links[2:])
    bulk.store_words(run[::-1] + np.uint64(_PREV), links[:-2])
    cpu.store_word(head + _NEXT, last)
    cpu.store_word(following + _PREV, first)


def nodes(cpu: Cpu, head: int, most: int | None = None) -> Iterator[int]:
    """Yield the nodes from first to last; each may be removed meanwhile. Kernel: list_for_each_safe().

    most  nodes at most; None: a loop that does not change the list is found by its links

    Raises KernelBug for a node whose successor does not point back to it, and for more than ``most`` nodes.
    """
    node = cpu.load_word(head + _NEXT)
    _require(cpu, head, node)
    for number in count(1):
        if node == head:
            return
        if most is not None and number > most:
            raise KernelBug(f"the list at VA {head:#x} has no end after {most} nodes", va=node, rule=_WALK_RULE)
        following = cpu.load_word(node + _NEXT)
        _require(cpu, node, following)
        yield node
        node = following


def _require(cpu: Cpu, node: int, following: int) -> None:
    """Raise KernelBug if the successor of a node does not point back to it."""
    back = cpu.load_word(following + _PREV)
    if back != node:
        what = f"list corruption: next->prev of the node at VA {node:#x} is {back:#x}"
        raise KernelBug(what, va=node, where=f"next is VA {following:#x}", rule=_WALK_RULE)


def walk(cpu: Cpu, head: int) -> npt.NDArray[np.uint64]:
    """Return the nodes from first to last; raises KernelBug as :func:`nodes`. Kernel: list_for_each()."""
    bulk = bulk_of(cpu)
    found = bulk.load_chain(head + _NEXT, head)
    ring = np.concatenate((np.array([head], np.uint64), found, np.array([head], np.uint64)))
    wrong = np.flatnonzero(bulk.load_words(ring[1:] + np.uint64(_PREV)) != ring[:-1])
    if wrong.size:
        _require(cpu, int(ring[wrong[0]]), int(ring[wrong[0] + 1]))
    return found


def splice_init(cpu: Cpu, source: int, head: int) -> None:
    """Move every node of ``source`` to the front of ``head``. Kernel: list_splice_init()."""
    for node in reversed(list(nodes(cpu, source))):
        move(cpu, node, head)
