# SPDX-License-Identifier: GPL-2.0-only
"""`hvolab verify`: accesses to optimized folios by CPUs that execute instructions."""

from __future__ import annotations

from typing import Annotated

import typer

from hvolab.cli.options import (
    FeatureOption,
    JsonOption,
    ProfileOption,
    ReleaseOption,
    complete_architecture,
    complete_mode,
)
from hvolab.cli.reports import HtmlOption, Reports, TraceOption
from hvolab.errors import UsageError


def verify(
    *,
    arch: Annotated[
        list[str] | None,
        typer.Option(
            "--arch",
            "-a",
            metavar="NAME",
            help="Architectures, by name or alias; repeatable; default all.",
            autocompletion=complete_architecture,
        ),
    ] = None,
    mode: Annotated[
        list[str] | None,
        typer.Option(
            "--mode",
            "-m",
            metavar="NAME",
            help="Paging modes; repeatable; by default all of each.",
            autocompletion=complete_mode,
        ),
    ] = None,
    profile: ProfileOption = None,
    release: ReleaseOption = None,
    feature: FeatureOption = None,
    handler: Annotated[
        bool, typer.Option("--handler", help="Record faults by a handler in the guest, as a kernel does.")
    ] = False,
    html: HtmlOption = None,
    trace: TraceOption = None,
    json: JsonOption = False,
) -> None:
    """Optimize huge pages on emulated CPUs, then load, store to, exchange and fetch from every tail.

    Each access must do what the description predicts. A load through a tail's alias returns the head's bytes. A store
    faults with the architecture's record, or changes the shared frame where the profile leaves tails writable. Before
    the flush, another CPU's store still reaches the frame that is about to be freed; after it, none does.

    With --html or --trace, of one mode, the smallest size that HVO can optimize is recorded, step by step.

    hvolab verify --arch x86_64 --mode 4-level
    """
    # the emulator is imported on first use
    from hvolab.cli.errors import ExitCode  # noqa: PLC0415
    from hvolab.cli.output import print_json, progress, show  # noqa: PLC0415
    from hvolab_unicorn.commands.verify_report import report_of, show_verifications  # noqa: PLC0415
    from hvolab_unicorn.verify import Verification, verification  # noqa: PLC0415
    from hvolab_unicorn.verify.selection import select  # noqa: PLC0415

    targets, refused = select(arch, mode, profile, feature, release=release)
    if len(targets) != 1 and (html or trace):
        raise UsageError(f"{len(targets)} modes have no common timeline", hint="name one: --arch x86_64 --mode 4-level")
    found: list[Verification] = []
    try:
        with (reports := Reports(html=html, trace=trace)) as recorder, progress("verify", quiet=json) as report:
            for target in targets:
                found += [verification.verify(target, handler=handler, progress=report, recorder=recorder)]
    except KeyboardInterrupt as interrupt:
        if found and not json:
            show_verifications(found, refused)
        raise KeyboardInterrupt(f"{len(found)} of {len(targets)} modes were verified") from interrupt
    if json:
        print_json(report_of(found, refused))
    else:
        show_verifications(found, refused)
        for file in reports.files:
            show(f"written          {file}")
    if not all(one.as_declared for one in found):
        raise typer.Exit(ExitCode.FINDING)
