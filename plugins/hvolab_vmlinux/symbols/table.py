# SPDX-License-Identifier: GPL-2.0-only
"""Symbols of a kernel, by name and by address."""

from __future__ import annotations

import bisect
import functools
import itertools
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hvolab_vmlinux.errors import SymbolError

#: Suffixes of functions that a compiler changed.
_SUFFIX: Final = re.compile(r"(\.(isra|constprop|part|cold|llvm)(\.\d+)?)+$")
#: Prefixes of symbols that mark the padding before a function.
_MARKERS: Final = ("__pfx_", "__cfi_")
#: Bit of the letter of a local symbol.
_LOCAL: Final = 0x20
#: Prefix of symbols that others of the same name replace.
_REPLACED: Final = b"replaced "


@dataclass(frozen=True)
class SymbolOffset:
    """An address as the symbol at or before it and the distance in bytes."""

    symbol: str
    offset: int

    def __str__(self) -> str:
        return f"{self.symbol}+{self.offset:#x}" if self.offset else self.symbol


@dataclass(frozen=True, eq=False)
class SymbolTable:
    """All symbols, by address.

    addresses  ascending, 64-bit
    letters    the kind of each as in nm: T text, D data, B zeroed data, R read-only, A absolute, W weak; lower case
               for local symbols
    text       their names in the same order, each with a NUL after it
    by_name    indices of the symbols in the order of their names' bytes; symbols of one name stay in address order.
               A name is found by bisection of these, so that a lookup decodes only a few names.
    """

    addresses: NDArray[np.uint64]
    letters: NDArray[np.uint8]
    text: bytes
    by_name: NDArray[np.uint32]

    @classmethod
    def of(cls, addresses: NDArray[np.uint64], letters: NDArray[np.uint8], text: bytes) -> SymbolTable:
        """Return a table of symbols in any order; symbols of one address keep their order."""
        order = np.argsort(addresses, kind="stable")
        unordered = text.split(b"\0")
        names = [unordered[index] for index in order.tolist()]
        by_name = np.array(sorted(range(len(names)), key=names.__getitem__), dtype=np.uint32)
        text = b"\0".join([*names, b""])
        return cls(addresses[order].astype(np.uint64), letters[order].astype(np.uint8), text, by_name)

    def __len__(self) -> int:
        return len(self.addresses)

    @functools.cached_property
    def _ends(self) -> NDArray[np.int64]:
        """Position in the text of the NUL after each name."""
        return np.flatnonzero(np.frombuffer(self.text, np.uint8) == 0)

    def _name(self, index: int) -> bytes:
        start = int(self._ends[index - 1]) + 1 if index else 0
        return self.text[start : self._ends[index]]

    def _indices(self, name: str) -> list[int]:
        """Return the indices of the symbols of that name."""
        wanted, order = name.encode("latin-1", "replace"), self.by_name
        first = bisect.bisect_left(range(len(self)), wanted, key=lambda place: self._name(int(order[place])))
        return list(itertools.takewhile(lambda index: self._name(index) == wanted, map(int, order[first:])))

    def find(self, name: str) -> int | None:
        """Return the address of the symbol of that name, or None; raises SymbolError where several have the name."""
        found = self.all(name)
        if len(found) > 1:
            raise SymbolError(
                f"{len(found)} symbols are called {name!r}",
                where=", ".join(f"{address:#x}" for address in found),
                rule="static functions and data of several files may share a name",
                hint="name the address instead",
            )
        return found[0] if found else None

    def address(self, name: str) -> int:
        """Return the address of the only symbol of that name; raises SymbolError where there is none, or several."""
        found = self.find(name)
        if found is None:
            raise SymbolError(
                f"the kernel has no symbol {name!r}",
                rule="the symbols are those of the image's own table",
                hint=self._hint(name),
            )
        return found

    def all(self, name: str, *, local: bool = True) -> tuple[int, ...]:
        """Return all addresses of symbols of that name, ascending; `local`: local ones too."""
        wanted = [index for index in self._indices(name) if local or not int(self.letters[index]) & _LOCAL]
        return tuple(sorted({int(self.addresses[index]) for index in wanted}))

    def between(self, start: int, end: int) -> tuple[str, ...]:
        """Return the names of the symbols from one address to another, in the order of the addresses."""
        first, last = (int(np.searchsorted(self.addresses, np.uint64(bound))) for bound in (start, end))
        return tuple(self._name(index).decode("latin-1") for index in range(first, last))

    def overlaid(
        self, added: Sequence[tuple[int, str, str]], hidden: Collection[str], replaced: tuple[int, int]
    ) -> SymbolTable:
        """Return a table with more symbols: address, letter and name of each.

        hidden    names whose symbols in this table get a prefix, as the new ones count
        replaced  first address and end of a range in which all symbols get it
        """
        names = self.text.split(b"\0")[:-1]
        first, last = (int(np.searchsorted(self.addresses, np.uint64(bound))) for bound in replaced)
        for index in {*range(first, last), *(index for name in hidden for index in self._indices(name))}:
            names[index] = _REPLACED + names[index]
        new = np.array([address for address, _, _ in added], np.uint64)
        letters = np.frombuffer("".join(letter for _, letter, _ in added).encode("latin-1"), np.uint8)
        text = b"\0".join([*names, *(name.encode("latin-1", "replace") for _, _, name in added), b""])
        return SymbolTable.of(np.concatenate([self.addresses, new]), np.concatenate([self.letters, letters]), text)

    def containing(self, part: str) -> tuple[str, ...]:
        """Return the names that contain a text, in the order of the addresses."""
        text, wanted = self.text, part.encode("latin-1", "replace")
        found, end = [], 0
        while (at := text.find(wanted, end)) >= 0:
            end = text.find(b"\0", at)
            found.append(text[text.rfind(b"\0", 0, at) + 1 : end].decode("latin-1"))
        return tuple(name for name in found if part in name)

    def variants(self, name: str) -> tuple[str, ...]:
        """Return the names that a compiler may have given a function: its own, or with suffixes such as `.isra.0`.

        Parts of the function that the compiler moved away (`.cold`) are not included.
        """
        if self._indices(name):
            return (name,)
        prefix = f"{name}."
        return tuple(
            sorted(
                one
                for one in set(self.containing(prefix))
                if one.startswith(prefix) and _SUFFIX.sub("", one) == name and ".cold" not in one
            )
        )

    def at(self, address: int) -> SymbolOffset | None:
        """Return the last symbol at or before `address`, or None.

        Of several symbols at one address it is the first that does not mark padding.
        """
        index = int(np.searchsorted(self.addresses, np.uint64(address), side="right")) - 1
        if index < 0:
            return None
        start = self.addresses[index]
        first = int(np.searchsorted(self.addresses, start, side="left"))
        names = [self._name(one).decode("latin-1") for one in range(first, index + 1)]
        chosen = next((name for name in names if not name.startswith(_MARKERS)), names[0])
        return SymbolOffset(chosen, address - int(start))

    def end(self, address: int) -> int | None:
        """Return the next higher address of a symbol, at which the symbol at `address` ends at the latest; or None."""
        index = int(np.searchsorted(self.addresses, np.uint64(address), side="right"))
        return int(self.addresses[index]) if index < len(self) else None

    def _hint(self, name: str) -> str:
        variants = self.variants(name)
        if variants:
            return f"use the name that the compiler gave it: {', '.join(variants)}"
        bare, names = name.strip("_").lower(), sorted(set(self.text.decode("latin-1").split("\0")))
        close = [one for one in names if len(bare) > 3 and bare in one.lower() and not one.startswith(_MARKERS)]
        if close:
            return f"use a similar name: {', '.join(sorted(close, key=len)[:5])}"
        return "check the spelling; the compiler may have inlined it, or this kernel does not have it"
