"""Carries out an effect as its notation says (hvolab.arch.steps), on registers and memory in Python."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from hvolab.errors import DescriptionError

_INNERMOST = re.compile(r"(byte )?\[([^\[\]]*)\]")
_LOOP = re.compile(r"for (?P<counters>.*?)(?: until (?P<until>.*?))?: (?P<body>.*)")
_BITS = (1 << 64) - 1
_OPERATIONS: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Eq: operator.eq,
}


@dataclass
class State:
    """Registers by name, memory by VA, and what was forgotten.

    registers    values by name; counters are put there too
    load, store  access so many bytes at a VA
    flushed      VAs whose translation was forgotten; ``None`` stands for all
    """

    registers: dict[str, int]
    load: Callable[[int, int], int]
    store: Callable[[int, int, int], None]
    flushed: list[int | None] = field(default_factory=list)

    def value(self, expression: str) -> int:
        """An expression, brackets being loads; raises DescriptionError for one that the notation does not have."""
        while match := _INNERMOST.search(expression):
            at = self.value(match.group(2)) & _BITS
            found = self.load(at, 1 if match.group(1) else 8)
            expression = f"{expression[: match.start()]}({found}){expression[match.end() :]}"
        try:
            return self._number(ast.parse(expression.strip(), mode="eval").body)
        except (SyntaxError, KeyError) as error:
            raise DescriptionError(f"{expression!r} is nothing that an effect can say") from error

    def _number(self, node: ast.AST) -> int:
        match node:
            case ast.Constant(value=int(number)):
                return number
            case ast.Name(id=name):
                return self.registers[name]
            case ast.BinOp(left=left, op=sign, right=right) | ast.Compare(left=left, ops=[sign], comparators=[right]):
                return int(_OPERATIONS[type(sign)](self._number(left), self._number(right)))
        raise KeyError(node)


def carry_out(effect: str, state: State) -> None:
    """Carry out every part of ``effect``; raises DescriptionError where it is not in the notation."""
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
