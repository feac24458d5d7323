# SPDX-License-Identifier: GPL-2.0-only
"""The commands `hvolab image`, `hvolab disasm` and `hvolab kernel`."""

from __future__ import annotations

from typing import Annotated

import typer

from hvolab.cli.options import ExecutorOption, FeatureOption, JobsOption, JsonOption, ModeOption, ReleaseOption
from hvolab.cli.reports import HtmlOption, Reports, TraceOption
from hvolab_kernel.commands.options import (
    Against,
    AgainstOption,
    CacheOption,
    CallersOption,
    EveryOption,
    ImageArgument,
    ObjectOption,
    QuickOption,
    ScenarioOption,
)


def image(
    image: ImageArgument,
    *,
    object: ObjectOption = None,  # noqa: A002 - the option's name
    cache: CacheOption = True,
    stubs: Annotated[
        bool, typer.Option("--stubs", help="Also list the functions that the machine performs for this kernel's code.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Show a kernel image: its format, segments, symbols and types, and the features of its HVO.

    With --object it shows how the object fits the image, before anything runs: calls out of HVO that the image's HVO
    does not make, symbols that the image lacks, functions replaced, added and gone. Structs that differ from the
    image's are an error.

    Exit code 0: the image can be read, with or without HVO; 2: it cannot, or the object does not fit.

    hvolab image vmlinuz
    """
    from hvolab.cli.output import print_json, progress, show  # noqa: PLC0415
    from hvolab_kernel.commands.image_report import image_view, report_of, stubs_view  # noqa: PLC0415
    from hvolab_kernel.objects.link import link_object  # noqa: PLC0415
    from hvolab_kernel.objects.report import link_view  # noqa: PLC0415
    from hvolab_vmlinux.open import open_kernel  # noqa: PLC0415

    with progress("read the image", quiet=json):
        kernel = open_kernel(image, use_cache=cache)
        linked = None if object is None else link_object(kernel, object)
    if linked is not None:
        kernel = linked.kernel
    report = report_of(kernel, linked, stubs=stubs)
    if json:
        print_json(report)
        return
    show(image_view(report) if linked is None else link_view(linked))
    if stubs:
        show(stubs_view(report))


def disasm(
    image: ImageArgument,
    function: Annotated[str, typer.Argument(metavar="FUNCTION", help="Function of the kernel, or its VA (0x…).")],
    *,
    cache: CacheOption = True,
    json: JsonOption = False,
) -> None:
    """Disassemble a kernel's function, and show the architecture plugin's own sequence that stores an entry.

    Exit code 0: the function is shown; 2: the image cannot be read, or has no such function.

    hvolab disasm vmlinuz hugetlb_vmemmap_restore_folio
    """
    from hvolab.cli.output import console, print_json, progress  # noqa: PLC0415
    from hvolab_kernel.code.listing import list_function  # noqa: PLC0415
    from hvolab_kernel.commands.disasm_report import listing_text, report_of  # noqa: PLC0415
    from hvolab_vmlinux.open import open_kernel  # noqa: PLC0415

    with progress("read the image", quiet=json):
        kernel = open_kernel(image, use_cache=cache)
        listing = list_function(kernel, function)
    if json:
        print_json(report_of(kernel, listing))
    else:
        console().print(listing_text(kernel, listing), soft_wrap=True)


def kernel(
    image: ImageArgument,
    *,
    object: ObjectOption = None,  # noqa: A002 - the option's name
    against: AgainstOption = None,
    mode: ModeOption = None,
    release: ReleaseOption = None,
    feature: FeatureOption = None,
    scenario: ScenarioOption = None,
    quick: QuickOption = False,
    every: EveryOption = False,
    jobs: JobsOption = None,
    executor: ExecutorOption = None,
    callers: CallersOption = False,
    listed: Annotated[bool, typer.Option("--list", help="List the scenarios and exit.")] = False,
    html: HtmlOption = None,
    trace: TraceOption = None,
    cache: CacheOption = True,
    json: JsonOption = False,
) -> None:
    """Run a kernel's own compiled HVO in every scenario, compare it with the engine, and show every difference.

    Both start from the same bytes, with the same allocator, and each allocation fails in turn. The comparison covers
    results, all calls out of HVO with their arguments, in order, all page-table entries, all bytes of all struct pages,
    counters and lists. It omits `page->lru` of vmemmap pages that are being allocated or freed: the kernel links them
    through it.

    The engine is the model of the release that has the features of the image, or of the nearest one if no known
    release has them, or of the one that --release names; the report begins with the differences of that release from
    6.12.

    With --callers the scenarios grow, shrink and use a pool: the functions of the kernel behind nr_hugepages, surplus,
    freeing, dissolving and demotion run, with HVO below them, and are compared with hvolab's pools. The counters and
    free lists of the hstates are compared, too.

    With --object your own mm/hugetlb_vmemmap.o runs in place of the image's HVO, which traps: `hvolab image --object`
    has the functions that it replaces, and what it newly calls. It is compared with the model and, without --quick,
    with the image's own code; cases that differ are checked by rules, so that the report has whether it only behaves
    differently.

    With --against rules nothing is a reference: results, invariants, owners of frames, balance of locks and counters,
    and stores outside HVO are checked. What the image's own code breaks in the same case under an object is known.

    The invariants are applied to the kernel's machine in each case, whether the engine agrees or not, and what is not
    optimized in the end is freed under the page allocator's checks.

    With --html or --trace the first case that differs, or else the first scenario, is run again and recorded step by
    step: the engine and the kernel side by side.

    The cases are spread over processes; the result is that of one.

    Exit code 0: no difference, no finding; 1: differences or findings; 2: wrong use or unreadable input.

    hvolab kernel vmlinuz --scenario "2M boot: optimize twice"
    """
    from hvolab.cli.errors import ExitCode  # noqa: PLC0415
    from hvolab.cli.output import show  # noqa: PLC0415
    from hvolab_kernel.commands.compare import Selection, Subject, run_against  # noqa: PLC0415
    from hvolab_kernel.comparison.recorded_case import RecordedCase, require_recordable  # noqa: PLC0415
    from hvolab_kernel.comparison.report import show_comparisons, show_scenarios  # noqa: PLC0415

    subject = Subject(
        image.absolute(), object and object.absolute(), cache, mode, tuple(feature or ()), release, callers, against
    )
    selection = Selection(scenario, quick, every)
    if listed:
        _, target = subject.open()
        show_scenarios(selection.chosen(subject, target), json=json)
        return
    with (reports := Reports(html=html, trace=trace)) as recorder:
        if recorder is not None:
            require_recordable(callers=callers, rules=against is Against.RULES)
        scenarios = () if recorder is None else selection.chosen(subject, subject.open()[1])
        recorded = RecordedCase(recorder, scenarios)
        clean = show_comparisons(recorded.follow(run_against(subject, selection, jobs, executor)), json=json)
    if not json:
        for file in reports.files:
            show(f"written          {file}")
    if not clean:
        raise typer.Exit(ExitCode.FINDING)
