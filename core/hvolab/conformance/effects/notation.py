# SPDX-License-Identifier: GPL-2.0-only
"""Evaluation of an effect in its notation (hvolab.arch.steps), on registers and memory in Python."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product
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
    """Registers by name, memory by VA, and the flushed VAs.

    registers    values by name, those of counters too
    load, store  functions (VA, bytes) and (VA, value, bytes)
    flushed      VAs whose translation was dropped; `None`: all
    """

    registers: dict[str, int]
    load: Callable[[int, int], int]
    store: Callable[[int, int, int], None]
    flushed: list[int | None] = field(default_factory=list)

    def value(self, expression: str) -> int:
        """Return the value of an expression, with brackets as loads; raises DescriptionError outside the notation."""
        while match := _INNERMOST.search(expression):
            at = self.value(match.group(2)) & _BITS
            found = self.load(at, 1 if match.group(1) else 8)
            expression = f"{expression[: match.start()]}({found}){expression[match.end() :]}"
        try:
            return self._number(ast.parse(expression.strip(), mode="eval").body)
        except (SyntaxError, KeyError) as error:
            raise DescriptionError(f"{expression!r} is not an expression of the notation") from error

    def _number(self, node: ast.AST) -> int:
        match node:
            case ast.Constant(value=int(number)):
                return number
            case ast.Name(id=name):
                return self.registers[name]
            case ast.BinOp(left=left, op=sign, right=right) | ast.Compare(left=left, ops=[sign], comparators=[right]):
                return int(_OPERATIONS[type(sign)](self._number(left), self._number(right)))
        raise KeyError(node)


def apply_effect(effect: str, state: State) -> None:
    """Apply every clause of `effect` to `state`; raises DescriptionError outside the notation.

    A loop sets its counters to each combination of values, the first one slowest; bounds are evaluated once.
    """
    loop = _LOOP.search(effect)
    for clause in filter(None, (effect if loop is None else effect[: loop.start()]).split("; ")):
        _clause(clause.rstrip("; "), state)
    if loop is not None:
        names, bounds = zip(*(counter.split(" < ") for counter in loop["counters"].split(", ")), strict=True)
        for numbers in product(*(range(state.value(bound)) for bound in bounds)):
            state.registers.update(zip(names, numbers, strict=True))
            if loop["until"] and state.value(loop["until"]):
                break
            for clause in loop["body"].split("; "):
                _clause(clause, state)


def _clause(clause: str, state: State) -> None:
    if clause.startswith("order("):
        return
    if clause == "tlb = none":
        state.flushed.append(None)
        return
    if clause.startswith("tlb("):
        state.flushed.append(state.value(clause[len("tlb(") : clause.rindex(")")]))
        return
    destination, _, rest = clause.partition(" = ")
    value, _, condition = rest.partition(" if ")
    if condition and not state.value(condition):
        return
    result = state.value(value) & _BITS
    if "[" not in destination:
        state.registers[destination] = result
        return
    size = 1 if destination.startswith("byte ") else 8
    address = destination.removeprefix("byte ")[1:-1]
    state.store(state.value(address) & _BITS, result, size)
