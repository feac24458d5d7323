# SPDX-License-Identifier: GPL-2.0-only
"""Effects carried out in Python: each word of the notation, and what it does not have."""

from __future__ import annotations

import pytest

from hvolab.arch import STEP_BY_NAME
from hvolab.conformance.effects.notation import State, apply_effect
from hvolab.errors import DescriptionError

BITS = (1 << 64) - 1


class Words:
    """Memory as bytes by VA."""

    def __init__(self, words: dict[int, int] | None = None) -> None:
        self.bytes: dict[int, int] = {}
        for va, word in (words or {}).items():
            self.store(va, word, 8)

    def load(self, va: int, size: int) -> int:
        return sum(self.bytes[va + at] << 8 * at for at in range(size))

    def store(self, va: int, value: int, size: int) -> None:
        self.bytes |= {va + at: value >> 8 * at & 0xFF for at in range(size)}


def after(effect: str, registers: dict[str, int], words: dict[int, int] | None = None) -> tuple[State, Words]:
    memory = Words(words)
    state = State(dict(registers), memory.load, memory.store)
    apply_effect(effect, state)
    return state, memory


def test_loads_stores_and_sums() -> None:
    state, memory = after("a = [b + 8]; [b] = a + 2*a - 1", {"b": 0x100}, {0x108: 5})
    assert state.registers["a"] == 5
    assert memory.load(0x100, 8) == 14


def test_values_wrap_at_64_bits() -> None:
    state, memory = after("a = b + 1; [c] = b", {"b": BITS, "c": 8})
    assert state.registers["a"] == 0
    assert memory.load(8, 8) == BITS


def test_bytes() -> None:
    _, memory = after(
        "for i < n: byte [to + i] = byte [at + i]", {"n": 3, "to": 1, "at": 9}, {8: 0x0403020100, 0: BITS}
    )
    assert memory.load(0, 8) == 0xFFFFFFFF030201FF


@pytest.mark.parametrize(("old", "stored"), [(5, 7), (6, 5)])
def test_an_exchange_holds_or_does_not(old: int, stored: int) -> None:
    effect = STEP_BY_NAME["compare_and_swap"].effect
    state, memory = after(effect, {"va": 8, "old": old, "new": 7}, {8: 5})
    assert (state.registers["found"], memory.load(8, 8)) == (5, stored)


def test_loops_within_loops() -> None:
    effect = STEP_BY_NAME["write_entry_rows"].effect
    words = {0: 0x100, 8: 0x200, **{16 + 8 * at: at for at in range(6)}}
    _, memory = after(effect, {"slots": 0, "entries": 16, "rows": 2, "columns": 3}, words)
    assert [memory.load(at + 8 * j, 8) for at in (0x100, 0x200) for j in range(3)] == list(range(6))


@pytest.mark.parametrize(("end", "limit", "links"), [(0x10, 9, [0x18, 0x20]), (0x99, 2, [0x18, 0x20]), (0x18, 9, [])])
def test_a_loop_that_ends_early(end: int, limit: int, links: list[int]) -> None:
    effect = STEP_BY_NAME["load_chain"].effect
    words = {0x10: 0x18, 0x18: 0x20, 0x20: 0x10}
    state, memory = after(effect, {"va": 0x10, "end": end, "to": 0x100, "limit": limit}, words)
    assert state.registers["count"] == len(links)
    assert [memory.load(0x100 + 8 * at, 8) for at in range(len(links))] == links


def test_what_is_forgotten_and_what_is_ordered() -> None:
    assert after("tlb(a + 1) = none", {"a": 4})[0].flushed == [5]
    assert after("tlb = none", {})[0].flushed == [None]
    assert after("for i < n: tlb(a + 16*i) = none", {"a": 4, "n": 2})[0].flushed == [4, 20]
    assert after("order(stores, walks)", {})[0].flushed == []


@pytest.mark.parametrize("effect", ["a = b / 2", "a = f(b)", "a = nobody", "a = b +", "a = 'text'", "a = b < 2 < 3"])
def test_what_the_notation_does_not_have_is_refused(effect: str) -> None:
    with pytest.raises(DescriptionError, match="is not an expression of the notation"):
        after(effect, {"b": 4})
