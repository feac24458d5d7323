# SPDX-License-Identifier: GPL-2.0-only
"""Report of `hvolab image`, for people and for programs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from rich.console import Group, RenderableType
from rich.text import Text

from hvolab.cli.output import labeled, table
from hvolab.release import departures_of, release_named
from hvolab.serialize import Hex
from hvolab_kernel.code.listing import architecture_of
from hvolab_kernel.code.stubs import StubAction, inline_of, outside_calls, stubs_of
from hvolab_kernel.identify.features import Answer, features_of
from hvolab_kernel.identify.release import identify
from hvolab_kernel.identify.report import departures_table
from hvolab_kernel.objects.link import LinkedHvo
from hvolab_kernel.objects.report import LinkReport, link_report
from hvolab_vmlinux.image import Segment
from hvolab_vmlinux.kernel import Kernel


@dataclass(frozen=True)
class HvoData:
    """HVO of a kernel image.

    release     release that has all features of the image; None: no HVO, or a set of features that no release has
    summary     one sentence
    features    each feature that releases may differ in
    nearest     release that the image is taken for; None: no HVO
    differing   each feature in which the image differs from it, with evidence and changes
    departures  differences of that release from the default release
    """

    release: str | None
    summary: str
    features: tuple[Answer, ...]
    nearest: str | None
    differing: tuple[str, ...]
    departures: tuple[str, ...]


@dataclass(frozen=True)
class StubData:
    """Function that the machine performs for the kernel's code.

    action     name of the action
    does       the action in words
    arguments  names of the arguments that the action needs
    prototype  as the image declares it; empty where it does not
    """

    function: str
    va: Hex
    action: StubAction
    does: str
    arguments: tuple[str, ...]
    prototype: str


@dataclass(frozen=True)
class InlineData:
    """Instruction in HVO's code whose effect beyond its CPU the machine performs.

    place   symbol and offset
    action  name of the action
    does    the action in words
    """

    instruction: str
    place: str
    va: Hex
    action: StubAction
    does: str


@dataclass(frozen=True)
class ImageReport:
    """Result of `hvolab image`.

    release         the kernel's release; empty where the image has no banner
    architecture    name in hvolab; None: no plugin describes it
    machine         ELF machine
    layers          formats of the file, outermost first
    digest          SHA-256 of the file
    base, memory_size  lowest link VA, and bytes to the end of the last segment
    entry           VA that the boot loader jumps to
    relocations     number of relocations that were applied
    symbols, types  number of them; None: the image has none
    lacks           a sentence for each kind of information that the image lacks
    timings         seconds of each step of opening it
    object          the object of --object; None without it
    stubs, instructions, runs_unchanged  of --stubs: functions and instructions that the machine performs, and functions
                    that HVO calls and that run unchanged; None without it
    """

    release: str
    architecture: str | None
    machine: str
    layers: tuple[str, ...]
    digest: str
    base: Hex
    entry: Hex
    memory_size: int
    relocations: int
    segments: tuple[Segment, ...]
    symbols: int | None
    types: int | None
    lacks: tuple[str, ...]
    hvo: HvoData
    timings: dict[str, float]
    object: LinkReport | None = None
    stubs: tuple[StubData, ...] | None = None
    instructions: tuple[InlineData, ...] | None = None
    runs_unchanged: tuple[str, ...] | None = None


def report_of(kernel: Kernel, linked: LinkedHvo | None = None, *, stubs: bool = False) -> ImageReport:
    """Return the report of a kernel image, with the object that is linked over it.

    stubs  also list what the machine performs for its code
    """
    image = kernel.image
    architecture = architecture_of(kernel)
    report = ImageReport(
        release=image.release,
        architecture=None if architecture is None else architecture.name,
        machine=image.machine,
        layers=image.layers,
        digest=image.digest,
        base=image.base,
        entry=image.entry,
        memory_size=image.memory_size,
        relocations=image.relocations,
        segments=image.segments,
        symbols=None if kernel.table is None else len(kernel.table),
        types=None if kernel.btf is None else len(kernel.types),
        lacks=kernel.lacks,
        hvo=_hvo_of(kernel),
        timings={step: round(seconds, 6) for step, seconds in kernel.timings.items()},
        object=None if linked is None else link_report(linked),
    )
    return _with_stubs(report, kernel) if stubs else report


def _hvo_of(kernel: Kernel) -> HvoData:
    features = features_of(kernel)
    taken_for = identify(kernel) if features.exists else None
    return HvoData(
        release=None if features.release is None else features.release.name,
        summary=features.summary,
        features=features.features,
        nearest=None if taken_for is None else taken_for.release.name,
        differing=taken_for.differences if taken_for else (),
        departures=departures_of(taken_for.release) if taken_for else (),
    )


def _with_stubs(report: ImageReport, kernel: Kernel) -> ImageReport:
    return replace(
        report,
        stubs=tuple(
            StubData(
                function=one.stub.function,
                va=one.va,
                action=one.stub.action,
                does=one.stub.action.value,
                arguments=tuple(argument.name for argument in one.stub.arguments),
                prototype=one.prototype,
            )
            for one in stubs_of(kernel)
        ),
        instructions=tuple(
            InlineData(one.stub.function, kernel.describe(one.va), one.va, one.stub.action, one.stub.action.value)
            for one in inline_of(kernel)
        ),
        runs_unchanged=outside_calls(kernel),
    )


def stubs_view(report: ImageReport) -> RenderableType:
    """Return the stubs of a kernel for people, and the other functions that HVO calls."""
    stubs = table("stub", "action")
    for one in report.stubs or ():
        stubs.add_row(f"{one.function}({', '.join(one.arguments)})", one.does)
    found = Counter((one.instruction, one.does) for one in report.instructions or ())
    for (instruction, does), times in found.items():
        stubs.add_row(f"{instruction}, {times} times in HVO's code", does)
    others = ", ".join(report.runs_unchanged or ())
    rest = f"HVO also calls functions that run unchanged: {others}" if others else "HVO calls nothing else"
    return Group("", stubs, "", rest)


def image_view(report: ImageReport) -> RenderableType:
    """Return a kernel image for people."""
    hvo = report.hvo
    grid = labeled()
    grid.add_row("release", Text(report.release or "unknown", "bold"))
    grid.add_row("architecture", f"{report.architecture or 'no plugin'} ({report.machine})")
    grid.add_row("file", f"{' > '.join(report.layers)}, SHA-256 {report.digest}")
    grid.add_row("linked at", f"{report.base:#x}, {report.memory_size:#x} bytes")
    grid.add_row("relocations", f"{report.relocations} applied" if report.relocations else "none needed")
    for name, count in (("symbols", report.symbols), ("types", report.types)):
        grid.add_row(name, "none" if count is None else f"{count}")
    grid.add_row("HVO", Text(hvo.summary, "green" if hvo.release else "yellow"))
    for difference in hvo.differing:
        grid.add_row(f"differs from {hvo.nearest}", Text(difference, "yellow"))
    for lack in report.lacks:
        grid.add_row("lacks", Text(lack, "yellow"))
    grid.add_row("time", ", ".join(f"{step} {seconds:.3f} s" for step, seconds in report.timings.items()))
    segments = table("segment", "content", "memory", "", right=("content", "memory"))
    for one in report.segments:
        kind = "per-CPU template" if one.per_cpu else ""
        segments.add_row(f"{one.va:#x}", f"{one.content_size:#x}", f"{one.memory_size:#x}", kind)
    found = table("feature of HVO", "", "evidence")
    for feature in hvo.features:
        found.add_row(feature.name, {True: "yes", False: "no", None: "?"}[feature.present], feature.found)
    parts: list[RenderableType] = [grid, "", segments, *(("", found) if hvo.features else ())]
    departures = hvo.nearest and departures_table(release_named(hvo.nearest))
    return Group(*parts, *(("", departures) if departures else ()))
