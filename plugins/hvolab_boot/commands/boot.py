# SPDX-License-Identifier: GPL-2.0-only
"""`hvolab boot`: a kernel is booted in QEMU, and its HVO judged."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from hvolab.cli.errors import ExitCode
from hvolab.cli.options import JsonOption, ModeOption
from hvolab.errors import UsageError
from hvolab.files import write_text
from hvolab_boot.commands.bisect import bisect_lines

#: The report as a picture, in the folder of --keep.
PICTURE: Final = "report.svg"

DoOption = Annotated[
    str | None,
    typer.Option(
        metavar="OPERATIONS",
        help="Operations on the pools, as '2M=8, 1G=1, demote 1G, free': SIZE=COUNT, free, and resize, shrink, "
        "demote, overcommit and boot of `hvolab run --do`; by default '2M=8, free', or the like for the smallest size "
        "that HVO optimizes.",
    ),
]
StressOption = Annotated[
    int,
    typer.Option(
        metavar="SECONDS",
        min=0,
        show_default=False,
        help="After the plan, each CPU makes and frees huge pages for so long, while page flags are read and memory is "
        "compacted.",
    ),
]
KeepOption = Annotated[
    Path | None,
    typer.Option(
        "--keep",
        "--capture",
        metavar="DIR",
        help="Write to a new folder the cores of all stages, cut to what HVO uses of the huge pages, the report, and a "
        "picture of it.",
    ),
]
BisectOption = Annotated[
    tuple[str, str] | None,
    typer.Option(
        metavar="GOOD BAD",
        help="Boot nothing: print the lines that search the tree for the commit which broke HVO, by git bisect; "
        "IMAGE is the file that a build makes.",
    ),
]


def boot(
    context: typer.Context,
    image: Annotated[
        Path, typer.Argument(metavar="IMAGE", help="Kernel image that QEMU loads: vmlinuz, bzImage, Image.")
    ],
    *,
    do: DoOption = None,
    mode: ModeOption = None,
    memory: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="Memory of the guest; by default twice what the plan needs, and 1G or more."),
    ] = None,
    cpus: Annotated[int, typer.Option(metavar="N", min=1, max=255, help="CPUs of the guest.")] = 1,
    cpu_model: Annotated[
        str | None, typer.Option(metavar="MODEL", help="CPU model of QEMU, with its properties.")
    ] = None,
    append: Annotated[
        str, typer.Option("--boot", metavar="PARAMETERS", help="Further parameters of the kernel's command line.")
    ] = "",
    check_pages: Annotated[
        Literal["on", "off"] | None,
        typer.Option(metavar="on|off", help="Check struct pages that are freed; by default as the kernel is built."),
    ] = None,
    accel: Annotated[
        Literal["kvm", "tcg"] | None, typer.Option(metavar="kvm|tcg", help="By default kvm where it is there.")
    ] = None,
    cc: Annotated[
        str | None, typer.Option(metavar="COMMAND", help="Compiler of the guest's one program; by default the image's.")
    ] = None,
    stress: StressOption = 0,
    keep: KeepOption = None,
    bisect: BisectOption = None,
    json: JsonOption = False,
) -> None:
    """Boot a kernel in QEMU, make and free huge pages, and judge its HVO.

    After each operation the report has what the kernel says (messages, counters, free memory), what its memory
    holds (as `hvolab inspect`), and whether the model, emulated CPUs and the image's own code leave the same (as
    `hvolab replay`). Needs QEMU, and a C compiler for the image's architecture.

    Exit code 0: no problems found; 1: problems found; 2: the image cannot be booted; 3: no problems found, but a part
    that decides was not read.

    hvolab boot arch/x86/boot/bzImage --bisect v6.11 v6.12

    hvolab boot vmlinuz --boot hugetlb_free_vmemmap=off --do "2M=8, free"
    """
    # imported late: `hvolab --help` boots nothing
    from hvolab.cli.output import as_svg, print_json, progress, show  # noqa: PLC0415
    from hvolab_boot.boot import BootRequest, boot_image  # noqa: PLC0415
    from hvolab_boot.commands.report import render  # noqa: PLC0415
    from hvolab_boot.judging.result import UNKNOWN  # noqa: PLC0415

    if bisect is not None and keep is not None:
        raise UsageError("--bisect boots many kernels, and --keep has one folder", hint="leave out --keep")
    if bisect is not None:
        typer.echo(bisect_lines(image, _options(context), *bisect))
        return
    checked = None if check_pages is None else check_pages == "on"
    request = BootRequest(
        image, do, mode, memory, cpus, cpu_model, append, checked, accel, cc, keep=keep, stress=stress
    )
    with progress("boot", quiet=json) as on_step:
        report = boot_image(request, on_step)
    if keep is not None:
        write_text(keep / PICTURE, as_svg(render(report), f"hvolab boot {image.name}", "boot"))
    if json:
        print_json(report)
    else:
        show(render(report))
    codes = {"problems": ExitCode.FINDING, UNKNOWN: ExitCode.UNKNOWN}
    raise typer.Exit(codes.get(report.verdict, ExitCode.AS_DECLARED))


def _options(context: typer.Context) -> list[str]:
    """Return the options of the command line that say how to boot."""
    given = []
    for parameter in context.command.params:
        value = context.params[parameter.name or ""]
        if parameter.param_type_name == "option" and parameter.name != "bisect" and value != parameter.default:
            given += [parameter.opts[0], *([] if value is True else [str(value)])]
    return given
