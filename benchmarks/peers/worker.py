# SPDX-License-Identifier: GPL-2.0-only
"""Translation of the VAs of a dump's vmemmap by one reader, in a process of its own: `worker.py NAME < jobs.json`.

It imports nothing of hvolab, so that the readers may be in an environment of their own.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

Job = dict[str, Any]
Result = dict[str, Any]
#: PA of a page that a reader does not find.
_PA_UNKNOWN = -1
#: Layers of volatility3 by format; others are ELF.
_LAYERS = {"lime": ("lime", "LimeLayer"), "avml": ("avml", "AVMLLayer")}


def drgn(job: Job) -> list[int]:
    """Translate by the C function behind drgn's follow_phys(), which needs no debugging symbols."""
    program = importlib.import_module("drgn").Program()
    program.set_core_dump(job["path"])
    # what the public helper calls, which needs debugging symbols
    follow_phys = importlib.import_module("_drgn")._linux_helper_follow_phys  # noqa: SLF001
    translate = partial(follow_phys, program, job["swapper"])
    return [_or_unknown(translate, va, (LookupError, ValueError)) for va in job["vas"]]


def volatility3(job: Job) -> list[int]:
    """Translate by volatility3's layers: of the file's format, and LinuxIntel32e with the root given."""
    framework = "volatility3.framework"
    context = importlib.import_module(f"{framework}.contexts").Context()
    physical, intel = (importlib.import_module(f"{framework}.layers.{name}") for name in ("physical", "intel"))
    invalid = importlib.import_module(f"{framework}.exceptions").InvalidAddressException
    if job["architecture"] != "x86_64":
        raise NotImplementedError(f"no layer translates {job['architecture']}")
    module, name = _LAYERS.get(job["format"], ("elf", "Elf64Layer"))
    context.config["file.location"] = Path(job["path"]).as_uri()
    context.config["format.base_layer"] = "file_layer"
    context.config["kernel.memory_layer"] = "format_layer"
    context.config["kernel.page_map_offset"] = job["root"]
    context.config["kernel.kernel_virtual_offset"] = 0
    context.add_layer(physical.FileLayer(context, "file", "file_layer"))
    kind = getattr(importlib.import_module(f"{framework}.layers.{module}"), name)
    context.add_layer(kind(context, "format", "format_layer"))
    layer = intel.LinuxIntel32e(context, "kernel", "kernel_layer")
    context.add_layer(layer)
    return [_or_unknown(layer.translate, va & layer.address_mask, (invalid,)) for va in job["vas"]]


def _or_unknown(translate: Callable[[int], Any], va: int, misses: tuple[type[Exception], ...]) -> int:
    """Return the PA of a VA; volatility3 returns more than that."""
    try:
        found = translate(va)
    except misses:
        return _PA_UNKNOWN
    return int(found[0] if isinstance(found, tuple) else found)


READERS: dict[str, Callable[[Job], list[int]]] = {"drgn": drgn, "volatility3": volatility3}


def run(name: str, job: Job) -> Result:
    """Return the PAs, or the error of the reader."""
    try:
        return {"pas": READERS[name](job)}
    except Exception as error:  # noqa: BLE001 - whatever a reader raises is its answer
        return {"error": f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"}


if __name__ == "__main__":
    reader = sys.argv[1]
    version = importlib.import_module("importlib.metadata").version(reader)
    results = [run(reader, job) for job in json.load(sys.stdin)]
    json.dump({"version": version, "results": results}, sys.stdout)
