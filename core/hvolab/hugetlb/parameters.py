# SPDX-License-Identifier: GPL-2.0-only
"""Boot parameters of hugetlb: pages of each size, and areas for gigantic ones. Kernel: mm/hugetlb.c, v6.12."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from hvolab.hvo.command_line import Parameter, memparse, scan_unsigned
from hvolab.units import NodeCounts

#: Numbers of nodes that a kernel has at most: MAX_NUMNODES with a CONFIG_NODES_SHIFT of 10, as distributions have it.
_MAX_NODES = 1024
_UINT_MASK, _ULONG_MASK = (1 << 32) - 1, (1 << 64) - 1


@dataclass(frozen=True)
class BootRequests:
    """Requests of a command line.

    default_size  bytes of the default huge page
    pages         requested pages by size in bytes, or NodeCounts of them, in the order of the sizes' first parameters
    cma           bytes of the areas for gigantic pages
    cma_nodes     bytes of the area of each node that a parameter names
    messages      what the kernel prints about parameters that it ignores, in its words
    """

    default_size: int
    pages: Mapping[int, int] = field(default_factory=dict)
    cma: int = 0
    cma_nodes: Mapping[int, int] = field(default_factory=dict)
    messages: tuple[str, ...] = ()


def parse_hugetlb(parameters: Iterable[Parameter], sizes: Collection[int], default: int, nodes: int) -> BootRequests:
    """Return what parameters request, of a kernel with these huge page sizes, on a number of online nodes.

    A hugepages= belongs to the hugepagesz= or default_hugepagesz= before it; as the first of all, to the default size.
    A parameter that is malformed, or in a place where it has no meaning, is ignored as the kernel ignores it, with the
    message that the kernel prints. Other parameters are skipped.

    default  bytes of the default huge page if no parameter names it: HPAGE_SIZE
    Of a node that one parameter names twice, the last number counts; a kernel allocates so many, too, and adds both to
    max_huge_pages. Left out: what boot could not allocate, which a kernel knows of gigantic pages while it parses.
    Kernel: hugepages_setup(), hugepagesz_setup(), default_hugepagesz_setup(), hugetlb_init(), v6.12.
    """
    parser = _Parser(sizes, default, nodes)
    handlers: dict[str, Callable[[str], None]] = {
        "hugepages": parser.hugepages,
        "hugepagesz": parser.hugepagesz,
        "default_hugepagesz": parser.default_hugepagesz,
        "hugetlb_cma": parser.hugetlb_cma,
    }
    for parameter in parameters:
        handler = next((handlers[name] for name in handlers if parameter.matches(name)), None)
        if handler is not None and parameter.value is not None:
            handler(parameter.value)
    return parser.requests()


def cma_areas(requests: BootRequests, largest: int, nodes: int) -> tuple[bool, tuple[str, ...]]:
    """Return whether areas for gigantic pages are reserved, and what the kernel prints about those that are not.

    An area has at least one page of the ``largest`` size, in bytes, and is on one of the online nodes. Left out: areas
    for which memory has no room. Kernel: hugetlb_cma_reserve(), v6.12.
    """
    left, messages, least = requests.cma, [], f"should be at least {largest >> 20} MiB"
    for node, size in sorted(requests.cma_nodes.items()):
        if size and node >= nodes:
            messages.append(f"hugetlb_cma: invalid node {node} specified")
            left -= size
        elif 0 < size < largest:
            messages.append(f"hugetlb_cma: cma area of node {node} {least}")
            left -= size
    if left and left & _ULONG_MASK < largest:
        messages.append(f"hugetlb_cma: cma area {least}")
        left = 0
    return left != 0 and requests.cma != 0, tuple(messages)


@dataclass
class _Pages:
    """Requested pages of one size: their number, and those of each node."""

    count: int = 0
    nodes: dict[int, int] = field(default_factory=dict)

    def requested(self) -> int:
        """Return the request; a number by node where a node has one."""
        nodes = {node: count for node, count in self.nodes.items() if count}
        return NodeCounts(nodes) if nodes else self.count


class _Parser:
    """State of the kernel's parsers between parameters."""

    def __init__(self, sizes: Collection[int], default: int, nodes: int) -> None:
        self._sizes, self._default, self._nodes = sizes, default, nodes
        self._hstates: dict[int, _Pages] = {}  # those that a parameter has added, by size
        self._current: _Pages | None = None  # Kernel: parsed_hstate
        self._first = _Pages()  # Kernel: default_hstate_max_huge_pages, default_hugepages_in_node
        self._last: _Pages | None = None  # Kernel: last_mhp
        self._valid = True  # Kernel: parsed_valid_hugepagesz
        self._named = False  # Kernel: parsed_default_hugepagesz
        self._cma = 0
        self._cma_nodes: dict[int, int] = {}
        self._messages: list[str] = []

    def hugepages(self, text: str) -> None:
        """Read a number of pages, or one for each node."""
        if not self._valid:
            self._say(f"hugepages={text} does not follow a valid hugepagesz, ignoring")
            self._valid = True
            return
        pages = self._first if self._current is None else self._current
        if pages is self._last:
            self._say(f"hugepages= specified twice without interleaving hugepagesz=, ignoring hugepages={text}")
            return
        wrong = self._read_pages(text, pages)
        if wrong is not None:
            self._say(f"Invalid hugepages parameter {wrong}")
            pages.count, pages.nodes = 0, {}
            return
        self._last = pages

    def _read_pages(self, text: str, pages: _Pages) -> str | None:
        """Read the value of hugepages=; return the text from which on it is malformed, or None."""
        rest, by_node = text, False
        while rest:
            number, behind = scan_unsigned(rest) or (self._nodes, ":")
            if not behind.startswith(":"):
                if not by_node:
                    pages.count = number
                return rest if by_node else None
            found = scan_unsigned(behind[1:]) if number < self._nodes else None
            if found is None:
                return behind[1:] if number < self._nodes else rest
            by_node = True
            count, behind = found
            pages.nodes[number] = count & _UINT_MASK
            pages.count += count
            rest = behind[1:] if behind.startswith(",") else ""
        return None

    def hugepagesz(self, text: str) -> None:
        """Choose the size that the next hugepages= is about."""
        self._valid = False
        size, _ = memparse(text)
        if size not in self._sizes:
            self._say(f"unsupported hugepagesz={text}")
            return
        known = self._hstates.get(size)
        if known is not None and (not self._named or size != self._default or known.count):
            self._say(f"hugepagesz={text} specified twice, ignoring")
            return
        self._current = self._hstates.setdefault(size, _Pages())
        self._valid = True

    def default_hugepagesz(self, text: str) -> None:
        """Choose the default size, and the size that the next hugepages= is about."""
        self._valid = False
        if self._named:
            self._say(f"default_hugepagesz previously specified, ignoring {text}")
            return
        size, _ = memparse(text)
        if size not in self._sizes:
            self._say(f"unsupported default_hugepagesz={text}")
            return
        if size not in self._hstates:  # of one that exists, hugetlb_add_hstate() does not make the current one
            self._current = self._hstates[size] = _Pages()
        self._valid = self._named = True
        self._default = size
        if self._first.count:
            self._hstates[size].count, self._hstates[size].nodes = self._first.count, self._first.nodes
            self._first = _Pages()

    def hugetlb_cma(self, text: str) -> None:
        """Read the bytes of areas, or those of each node; text that is malformed ends the list.

        Kernel: cmdline_parse_hugetlb_cma(), v6.12.
        """
        rest = text
        while (found := scan_unsigned(rest)) is not None:
            number, behind = found
            if not behind.startswith(":"):
                self._cma = memparse(text)[0]
                return
            if number >= _MAX_NODES:
                break
            size, behind = memparse(behind[1:])
            self._cma_nodes[number] = size
            self._cma = self._cma + size & _ULONG_MASK
            if not behind.startswith(","):
                break
            rest = behind[1:]

    def requests(self) -> BootRequests:
        """Return the requests after the last parameter. Kernel: hugetlb_init()."""
        default = self._hstates.setdefault(self._default, _Pages())
        if not self._named and self._first.count:
            if default.count:
                self._say(f"Ignoring hugepages={default.count} associated with {_size(self._default)} page size")
                self._say(f"Using hugepages={self._first.count} for number of default huge pages")
            default.count, default.nodes = self._first.count, self._first.nodes
        pages = {size: pages.requested() for size, pages in self._hstates.items() if pages.count}
        return BootRequests(self._default, pages, self._cma, self._cma_nodes, tuple(self._messages))

    def _say(self, message: str) -> None:
        self._messages.append(f"HugeTLB: {message}")


def _size(size: int) -> str:
    """Return a size with three digits. Kernel: string_get_size() in lib/string_helpers.c."""
    step = (size.bit_length() - 1) // 10
    number = size >> 10 * step
    return f"{number:.{3 - len(str(number))}f} {'KMGTP'[step - 1]}iB"
