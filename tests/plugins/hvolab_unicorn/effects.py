"""Carries out an effect as its notation says (hvolab.arch.steps), on registers and memory in Python."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

_INNERMOST = re.compile(r"(byte )?\[([^\[\]]*)\]")
_LOOP = re.compile(r"for (?P<counters>.*?)(?: until (?P<until>.*?))?: (?P<body>.*)")
_BITS = (1 << 64) - 1


@dataclass
class State:
    """Registers by name, memory by VA, and what was forgotten or ordered.

    load, store  access ``size`` bytes
    """

    registers: dict[str, int]
    load: Callable[[int, int], int]
    store: Callable[[int, int, int], None]
    flushed: list[int | None] = field(default_factory=list)

    def value(self, expression: str) -> int:
        """An expression, brackets being loads."""
        while match := _INNERMOST.search(expression):
            at = self.value(match.group(2)) & _BITS
            found = self.load(at, 1 if match.group(1) else 8)
            expression = expression[: match.start()] + f"({found})" + expression[match.end() :]
        return int(eval(expression, {}, self.registers))


def carry_out(effect: str, state: State) -> None:
    """Carry out every part of ``effect``."""
    loop = _LOOP.search(effect)
    for clause in filter(None, (effect if loop is None else effect[: loop.start()]).split("; ")):
        _clause(clause.rstrip("; "), state)
    if loop is not None:
        for _ in _turns(loop["counters"].split(", "), state):
            if loop["until"] and state.value(loop["until"]):
                break
            for clause in loop["body"].split("; "):
                _clause(clause, state)


def _turns(counters: list[str], state: State) -> Iterator[None]:
    """Each combination of the counters' values, the first one slowest. Bounds are those of the start."""
    name, bound = counters[0].split(" < ")
    for number in range(state.value(bound)):
        state.registers[name] = number
        if len(counters) > 1:
            yield from _turns(counters[1:], state)
        else:
            yield


def _clause(clause: str, state: State) -> None:
    if clause.startswith("order("):
        return
    if clause == "tlb = none":
        state.flushed.append(None)
        return
    if clause.startswith("tlb("):
        state.flushed.append(state.value(clause[len("tlb(") : clause.rindex(")")]))
        return
    place, _, rest = clause.partition(" = ")
    value, _, condition = rest.partition(" if ")
    if condition and not state.value(condition):
        return
    found = state.value(value) & _BITS
    if "[" not in place:
        state.registers[place] = found
        return
    size = 1 if place.startswith("byte ") else 8
    inner = place.removeprefix("byte ")
    state.store(state.value(inner[1:-1]) & _BITS, found, size)
