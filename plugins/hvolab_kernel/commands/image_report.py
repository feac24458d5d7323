# SPDX-License-Identifier: GPL-2.0-only
"""Report of `hvolab image`, for people and for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hvolab.cli.output import table
from hvolab.release import departures_of, release_named
from hvolab.serialize import as_data
from hvolab_kernel.code.listing import architecture_of
from hvolab_kernel.code.stubs import Stub, inline_of, outside_calls, stubs_of
from hvolab_kernel.identify.features import HvoFeatures
from hvolab_kernel.identify.release import identify
from hvolab_kernel.identify.report import departures_table
from hvolab_vmlinux.kernel import Kernel


def image_data(kernel: Kernel, features: HvoFeatures) -> dict[str, Any]:
    """Return a kernel image for JSON."""
    image = kernel.image
    architecture = architecture_of(kernel)
    taken_for = identify(kernel) if features.exists else None
    return {
        "release": image.release,
        "architecture": None if architecture is None else architecture.name,
        "machine": image.machine,
        "layers": list(image.layers),
        "digest": image.digest,
        "base": f"{image.base:#x}",
        "entry": f"{image.entry:#x}",
        "memory_size": image.memory_size,
        "relocations": image.relocations,
        "segments": [
            {
                "va": f"{one.va:#x}",
                "content_size": len(one.content),
                "memory_size": one.memory_size,
                "per_cpu": one.per_cpu,
            }
            for one in image.segments
        ],
        "symbols": None if kernel.table is None else len(kernel.table),
        "types": None if kernel.btf is None else len(kernel.types),
        "lacks": list(kernel.lacks),
        "hvo": {
            "release": features.release and features.release.name,
            **as_data(features),
            "nearest": taken_for and taken_for.release.name,
            "differing": list(taken_for.differences) if taken_for else [],
            "departures": list(departures_of(taken_for.release)) if taken_for else [],
        },
        "timings": {step: round(seconds, 6) for step, seconds in kernel.timings.items()},
    }


def stubs_data(kernel: Kernel) -> dict[str, Any]:
    """Return the stubs of a kernel for JSON, and the other functions that HVO calls."""
    return {
        "stubs": [
            {
                "function": one.stub.function,
                **_stub_data(one.stub, one.va),
                "arguments": [argument.name for argument in one.stub.arguments],
                "prototype": one.prototype,
            }
            for one in stubs_of(kernel)
        ],
        "instructions": [
            {"instruction": one.stub.function, "place": kernel.describe(one.va), **_stub_data(one.stub, one.va)}
            for one in inline_of(kernel)
        ],
        "runs_unchanged": list(outside_calls(kernel)),
    }


def _stub_data(stub: Stub, va: int) -> dict[str, str]:
    return {"va": f"{va:#x}", "action": stub.action.name.lower(), "does": stub.action.value}


def stubs_view(kernel: Kernel) -> RenderableType:
    """Return the stubs of a kernel for people, and the other functions that HVO calls."""
    stubs = table("stub", "action")
    for one in stubs_of(kernel):
        arguments = ", ".join(argument.name for argument in one.stub.arguments)
        stubs.add_row(f"{one.stub.function}({arguments})", one.stub.action.value)
    for stub, times in Counter(one.stub for one in inline_of(kernel)).items():
        stubs.add_row(f"{stub.function}, {times} times in HVO's code", stub.action.value)
    others = outside_calls(kernel)
    rest = f"HVO also calls functions that run unchanged: {', '.join(others)}" if others else "HVO calls nothing else"
    return Group("", stubs, "", rest)


def image_view(data: Mapping[str, Any]) -> RenderableType:
    """Return a kernel image for people, of its data for JSON."""
    hvo = data["hvo"]
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row("release", Text(data["release"] or "unknown", "bold"))
    grid.add_row("architecture", f"{data['architecture'] or 'no plugin'} ({data['machine']})")
    grid.add_row("file", f"{' > '.join(data['layers'])}, SHA-256 {data['digest']}")
    grid.add_row("linked at", f"{data['base']}, {data['memory_size']:#x} bytes")
    grid.add_row("relocations", f"{data['relocations']} applied" if data["relocations"] else "none needed")
    for name in ("symbols", "types"):
        grid.add_row(name, "none" if data[name] is None else f"{data[name]}")
    grid.add_row("HVO", Text(hvo["summary"], "green" if hvo["release"] else "yellow"))
    for difference in hvo["differing"]:
        grid.add_row(f"differs from {hvo['nearest']}", Text(difference, "yellow"))
    for lack in data["lacks"]:
        grid.add_row("lacks", Text(lack, "yellow"))
    grid.add_row("time", ", ".join(f"{step} {seconds:.3f} s" for step, seconds in data["timings"].items()))
    segments = table("segment", "content", "memory", "", right=("content", "memory"))
    for one in data["segments"]:
        kind = "per-CPU template" if one["per_cpu"] else ""
        segments.add_row(one["va"], f"{one['content_size']:#x}", f"{one['memory_size']:#x}", kind)
    found = table("feature of HVO", "", "evidence")
    for feature in hvo["features"]:
        found.add_row(feature["name"], {True: "yes", False: "no", None: "?"}[feature["present"]], feature["found"])
    parts: list[RenderableType] = [grid, "", segments, *(("", found) if hvo["features"] else ())]
    departures = hvo["nearest"] and departures_table(release_named(hvo["nearest"]))
    return Group(*parts, *(("", departures) if departures else ()))
