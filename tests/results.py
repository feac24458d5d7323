# SPDX-License-Identifier: GPL-2.0-only
"""A result with every kind of field, for tests of its serialization and its schema."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from hvolab.serialize import Hex


class Color(enum.Enum):
    """An enumeration, whose names have two words."""

    DARK_RED = 1


@dataclass(frozen=True)
class Inner:
    """Numbers in hex, without defaults, optional, and several."""

    va: Hex
    pfn: Hex | None = None
    more: tuple[Hex, ...] = ()


@dataclass(frozen=True)
class Outer:
    """A field of each other kind, and a property."""

    also_in_data: ClassVar[tuple[str, ...]] = ("doubled",)
    size: int
    inner: tuple[Inner, ...] = ()
    color: Color = Color.DARK_RED
    state: Literal["on", "off"] = "on"
    counts: Mapping[str, int] = field(default_factory=dict)
    renamed: float = field(default=3.5, metadata={"data": "other"})
    hidden: int = field(default=4, metadata={"data": None})
    _private: int = 5

    @property
    def doubled(self) -> int:
        """A property that the data have."""
        return 2 * self.size
