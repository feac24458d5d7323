"""A kernel's symbols: from name to address and back."""

from __future__ import annotations

import bisect
import functools
import itertools
import re
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hvolab_vmlinux.errors import SymbolError

#: What compilers put behind the name of a function that they changed.
_SUFFIX: Final = re.compile(r"(\.(isra|constprop|part|cold|llvm)(\.\d+)?)+$")
#: Names that mark a place before a function, rather than the function.
_MARKERS: Final = ("__pfx_", "__cfi_")


@dataclass(frozen=True)
class SymbolOffset:
    """An address in words: the symbol at or before it, and how many bytes it is behind that."""

    symbol: str
    offset: int

    def __str__(self) -> str:
        return f"{self.symbol}+{self.offset:#x}" if self.offset else self.symbol


@dataclass(frozen=True, eq=False)
class SymbolTable:
    """All symbols, by address.

    addresses  ascending, 64-bit
    letters    the kind of each as nm names it: T text, D data, B zeroed data, R read-only, A absolute, W weak; small
               letters are local
    text       their names in the same order, each with a NUL behind it
    sorted     positions of the symbols in the order of their names, if they are known already; see by_name
    """

    addresses: NDArray[np.uint64]
    letters: NDArray[np.uint8]
    text: bytes
    sorted: NDArray[np.uint32] | None = None

    @classmethod
    def sorted_by_address(cls, addresses: NDArray[np.uint64], letters: NDArray[np.uint8], text: bytes) -> SymbolTable:
        """A table of symbols in any order; those of one address stay in the order given."""
        order = np.argsort(addresses, kind="stable")
        names = text.split(b"\0")
        ordered = b"\0".join([names[index] for index in order.tolist()]) + b"\0"
        return cls(addresses[order].astype(np.uint64), letters[order].astype(np.uint8), ordered)

    def __len__(self) -> int:
        return len(self.addresses)

    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        """All names, in the order of the addresses."""
        return tuple(self.text.decode("latin-1").split("\0")[:-1])

    @functools.cached_property
    def by_name(self) -> NDArray[np.uint32]:
        """Positions of the symbols in the order of their names' bytes; those of one name stay in that of addresses.

        It finds a name by bisection, so that nothing has to be made of all names when a few are asked for.
        """
        if self.sorted is not None:
            return self.sorted
        names = self.text.split(b"\0")
        return np.array(sorted(range(len(self)), key=names.__getitem__), dtype=np.uint32)

    @functools.cached_property
    def _ends(self) -> NDArray[np.int64]:
        """Where in the text the NUL behind each name is."""
        return np.flatnonzero(np.frombuffer(self.text, np.uint8) == 0)

    def _name(self, index: int) -> bytes:
        start = int(self._ends[index - 1]) + 1 if index else 0
        return self.text[start : self._ends[index]]

    def _indices(self, name: str) -> list[int]:
        """The symbols of that name."""
        wanted, order = name.encode("latin-1", "replace"), self.by_name

        def key(place: int) -> bytes:
            return self._name(int(order[place]))

        first = bisect.bisect_left(range(len(self)), wanted, key=key)
        found = itertools.takewhile(lambda index: self._name(index) == wanted, map(int, order[first:]))
        return list(found)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and bool(self._indices(name))

    def find(self, name: str) -> int | None:
        """Address of the symbol of that name; None if there is none.

        Raises SymbolError where several have it, at several addresses.
        """
        found = self.all(name)
        if not found:
            return None
        if len(found) > 1:
            raise SymbolError(
                f"{len(found)} symbols are called {name!r}",
                where=", ".join(f"{address:#x}" for address in found),
                rule="static functions and data of several files may share a name",
                hint="name the address instead",
            )
        return found[0]

    def address(self, name: str) -> int:
        """Address of the only symbol of that name; SymbolError where there is none, or several."""
        found = self.find(name)
        if found is None:
            raise SymbolError(
                f"the kernel has no symbol {name!r}",
                hint=self._advice(name),
                rule="the symbols are those of the image's own table",
            )
        return found

    def all(self, name: str) -> tuple[int, ...]:
        """Every address that has a symbol of that name, ascending."""
        return tuple(sorted({int(self.addresses[index]) for index in self._indices(name)}))

    def containing(self, part: str) -> tuple[str, ...]:
        """The names that have this text in them, in the order of the addresses: a search of bytes, not of each name."""
        text, wanted = self.text, part.encode("latin-1", "replace")
        found = []
        at = text.find(wanted)
        while at >= 0:
            end = text.find(b"\0", at)
            found.append(text[text.rfind(b"\0", 0, at) + 1 : end].decode("latin-1"))
            at = text.find(wanted, end)
        return tuple(name for name in found if part in name)

    def variants(self, name: str) -> tuple[str, ...]:
        """The names under which a compiler may have left a function: itself, and with suffixes such as `.isra.0`.

        Parts that a compiler moved away (`.cold`) are not the function.
        """
        if name in self:
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
        """The symbol at or before `address`; None where no symbol is before it.

        Of several at one address the first that marks no mere padding counts.
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
        """The next higher address that has a symbol, where what starts at `address` ends at the latest; or None."""
        index = int(np.searchsorted(self.addresses, np.uint64(address), side="right"))
        return int(self.addresses[index]) if index < len(self) else None

    def _advice(self, name: str) -> str:
        variants = self.variants(name)
        if variants:
            return f"the compiler left {', '.join(variants)}"
        bare = name.strip("_").lower()
        close = [
            one for one in set(self.names) if len(bare) > 3 and bare in one.lower() and not one.startswith(_MARKERS)
        ]
        if close:
            return f"similar: {', '.join(sorted(close, key=len)[:5])}"
        return "check the spelling; the compiler may have inlined it, or this kernel does not have it"
