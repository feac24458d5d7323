# SPDX-License-Identifier: GPL-2.0-only
"""The vmemmap of a real kernel's huge pages, translated by hvolab, drgn and volatility3, all on one core."""

from __future__ import annotations

import importlib
import json
import lzma
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.report import Bar, BenchmarkError, Result, Series
from hvolab_vmcore.core.snapshot import open_snapshot

_CAPTURE = Path(__file__).parent.parent / "tests" / "captures" / "x86_64-6.12-4level"
_CORE, _STAGE = "2-optimised-1G.core.xz", 2
_PAGE, _STRUCT_PAGE = 4096, 64
_AT_LEAST = 30.0
_REPETITIONS, _QUICK_REPETITIONS = 15, 5
_WALKS = 5  # in each repetition, so that no tool is timed on caches that another one has filled
Pas = npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Ranges:
    """The vmemmap of the pool's huge pages: first VA and pages of each."""

    ranges: tuple[tuple[int, int], ...]

    @property
    def vas(self) -> list[int]:
        """The VA of every page."""
        return [start + page * _PAGE for start, pages in self.ranges for page in range(pages)]


def run(*, quick: bool) -> Result:
    """Walk with each of the three in turn, and compare their results."""
    ranges = _pool_of_capture()
    with tempfile.TemporaryDirectory() as folder:
        core = Path(folder) / "core"
        core.write_bytes(lzma.decompress((_CAPTURE / _CORE).read_bytes()))
        walks = {"hvolab": _hvolab(core, ranges), "drgn": _drgn(core, ranges), "volatility3": _volatility(core, ranges)}
        seconds: dict[str, list[float]] = {name: [] for name in walks}
        found: dict[str, Pas] = {}
        for name, walk in walks.items():
            found[name] = walk()  # not timed: the first walk also fills caches of each tool's own
        for _ in range(_QUICK_REPETITIONS if quick else _REPETITIONS):
            for name, walk in walks.items():
                start = time.perf_counter()
                for _ in range(_WALKS):
                    walk()
                seconds[name].append((time.perf_counter() - start) / _WALKS)
    pages = len(ranges.vas)
    _require_agreement(found, pages)
    series = {name: Series(name, "µs/page", tuple(s / pages * 1e6 for s in runs)) for name, runs in seconds.items()}
    reads = int((found["volatility3"] >= 0).sum())
    rate = series["drgn"].median / series["hvolab"].median
    return Result(
        "core-walk",
        tuple(series.values()),
        (Bar("pages a second, hvolab / drgn", rate, _AT_LEAST, at_least=True),),
        (
            f"{pages:,} pages of vmemmap of {len(ranges.ranges)} optimized huge pages, Debian's 6.12, x86_64.",
            "hvolab: PageTables.frames() of each huge page's range, PFNs as arrays; opening the core is not timed.",
            "drgn: its C page-table iterator through the function behind follow_phys(), page by page from Python.",
            "drgn offers no range, and its public helper needs debugging symbols, which the core does not come with.",
            f"volatility3: translate() of its LinuxIntel32e layer, page by page. It reads {reads:,} of the pages:",
            "it takes a table whose entries are all the same for an invalid one.",
            f"hvolab and drgn agree on all {pages:,} PAs, and volatility3 on those that it reads.",
        ),
    )


def _pool_of_capture() -> _Ranges:
    """Return the huge pages that the kernel itself reported as those of its pool."""
    stage = json.loads((_CAPTURE / "capture.json").read_text(encoding="utf-8"))["stages"][_STAGE]
    return _Ranges(
        tuple(
            (int(folio["vmemmap_va"], 16), folio["size"] // _PAGE * _STRUCT_PAGE // _PAGE)
            for folio in stage["folios"]
            if folio["in_pool"]
        )
    )


def _hvolab(core: Path, ranges: _Ranges) -> Callable[[], Pas]:
    tables = open_snapshot(core).tables
    return lambda: np.concatenate([tables.frames(start, pages) for start, pages in ranges.ranges]) * _PAGE


def _drgn(core: Path, ranges: _Ranges) -> Callable[[], Pas]:
    program = _tool("drgn").Program()
    program.set_core_dump(core)
    follow_phys = _tool("_drgn")._linux_helper_follow_phys  # noqa: SLF001 - what the public helper calls, see the notes
    info = open_snapshot(core).core.vmcoreinfo
    root = info.symbol("swapper_pg_dir") if info is not None else None
    if root is None:
        raise BenchmarkError("cannot determine the root page table of the core")
    vas = ranges.vas
    return lambda: np.array([follow_phys(program, root, va) for va in vas], dtype=np.int64)


def _volatility(core: Path, ranges: _Ranges) -> Callable[[], Pas]:
    framework = "volatility3.framework"
    context = _tool(f"{framework}.contexts").Context()
    physical, elf, intel = (_tool(f"{framework}.layers.{name}") for name in ("physical", "elf", "intel"))
    invalid = _tool(f"{framework}.exceptions").InvalidAddressException
    context.config["file.location"] = core.as_uri()
    context.config["elf.base_layer"] = "file_layer"
    context.config["kernel.memory_layer"] = "elf_layer"
    context.config["kernel.page_map_offset"] = open_snapshot(core).tables.root
    context.config["kernel.kernel_virtual_offset"] = 0
    context.add_layer(physical.FileLayer(context, "file", "file_layer"))
    context.add_layer(elf.Elf64Layer(context, "elf", "elf_layer"))
    layer = intel.LinuxIntel32e(context, "kernel", "kernel_layer")
    context.add_layer(layer)
    vas = [va & layer.address_mask for va in ranges.vas]

    def walk() -> Pas:
        found = []
        for va in vas:
            try:
                found.append(layer.translate(va)[0])
            except invalid:
                found.append(-1)
        return np.array(found, dtype=np.int64)

    return walk


def _tool(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise BenchmarkError(f"{module} is not installed: pip install 'hvolab[bench]'") from error


def _require_agreement(found: dict[str, Pas], pages: int) -> None:
    ours, drgns, theirs = found["hvolab"], found["drgn"], found["volatility3"]
    if ours.size != pages or not np.array_equal(ours, drgns):
        raise BenchmarkError(f"hvolab and drgn differ at {int((ours != drgns).sum())} of {pages} pages")
    reads = theirs >= 0
    if not np.array_equal(ours[reads], theirs[reads]):
        raise BenchmarkError("hvolab and volatility3 differ on pages that both read")
