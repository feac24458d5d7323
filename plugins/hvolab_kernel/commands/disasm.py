"""`hvolab disasm`: a function of a kernel image, symbolized, with the instructions marked that store entries."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hvolab.cli.options import JsonOption


def disasm(
    image: Annotated[Path, typer.Argument(help="Kernel image: vmlinuz, Image or vmlinux.")],
    function: Annotated[str, typer.Argument(help="Function of the kernel, or its VA (0x…).")],
    *,
    cache: Annotated[bool, typer.Option(help="Keep what is read of the image for the next time.")] = True,
    json: JsonOption = False,
) -> None:
    """Disassemble a kernel's function beside the architecture plugin's own sequence for storing an entry.

    Exit code 0: it is shown; 2: the image cannot be read, or has no such function.
    """
    # what reads images waits until one is to be read
    from hvolab.cli.output import console, print_json  # noqa: PLC0415
    from hvolab_kernel.code.listing import list_function  # noqa: PLC0415
    from hvolab_kernel.commands.disasm_report import listing_data, listing_text  # noqa: PLC0415
    from hvolab_vmlinux.open import open_kernel  # noqa: PLC0415

    kernel = open_kernel(image, use_cache=cache)
    listing = list_function(kernel, function)
    if json:
        print_json(listing_data(kernel, listing))
    else:
        console().print(listing_text(kernel, listing), soft_wrap=True)
