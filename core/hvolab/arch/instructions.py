# SPDX-License-Identifier: GPL-2.0-only
"""Reader of the instruction sequences that an architecture's package declares in a TOML file.

docs/emulation.md describes the file.
"""

from __future__ import annotations

import tomllib
from dataclasses import MISSING, fields
from importlib.resources import files
from typing import Any, TypeVar

from hvolab.arch.emulation import Convention, EmulationPart, InstructionSequence
from hvolab.errors import DescriptionError
from hvolab.overrides import check_name, check_types

_KEYS = ("disassembler", "emulator", "model", "convention", "steps")
_Part = TypeVar("_Part")


def load_emulation_part(package: str, name: str = "instructions.toml", **others: Any) -> EmulationPart:
    """Return the emulation part with the sequences of file ``name`` of ``package``, and other fields of EmulationPart.

    Raises DescriptionError, with file and step, for a key or field that is missing, unknown or of the wrong type.
    """
    place = f"{package}/{name}"
    try:
        text = files(package).joinpath(name).read_text(encoding="utf-8")
    except OSError as error:
        what = f"instruction sequences cannot be read: {error}"
        raise DescriptionError(what, where=place, hint="ship the file with the package") from error
    return parse_emulation_part(text, place, **others)


def parse_emulation_part(text: str, place: str, **others: Any) -> EmulationPart:
    """Do the same as :func:`load_emulation_part` with the text of a file; ``place`` is its name in errors."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DescriptionError(f"instruction sequences are not TOML: {error}", where=place) from error
    for key in data:
        check_name("known key", key, _KEYS, place)
    steps = data.pop("steps", {})
    data["convention"] = _made(Convention, data.get("convention"), f"{place}, convention")
    data["sequences"] = tuple(_sequence(step, table, f"{place}, steps.{step}") for step, table in steps.items())
    part = _made(EmulationPart, {**data, **others}, place)
    try:
        part.check()
    except DescriptionError as error:
        where = "; ".join(filter(None, (place, error.where)))
        raise DescriptionError(error.what, where=where, rule=error.rule, hint=error.hint) from error
    return part


def _sequence(step: str, table: object, where: str) -> InstructionSequence:
    if isinstance(table, dict):
        code = table.get("code")
        pairs = {key: tuple(each.items()) for key, each in table.items() if isinstance(each, dict)}
        table = {**table, **pairs, "step": step, "code": "".join(code.split()) if isinstance(code, str) else code}
    return _made(InstructionSequence, table, where)


def _made(kind: type[_Part], table: object, where: str) -> _Part:
    """Return a dataclass made from a table of TOML, its lists as tuples, its types checked."""
    if not isinstance(table, dict):
        raise DescriptionError(f"{table!r} is not a table", where=where)
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    for key in table:
        check_name("known key", key, known, where)
    for name, field in known.items():
        if name not in table and field.default is MISSING:
            raise DescriptionError(f"the key {name} is missing", where=where)
    part = kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in table.items()})
    check_types(part, where)
    return part
