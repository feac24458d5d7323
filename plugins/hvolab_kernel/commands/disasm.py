"""`hvolab disasm`: listing of a kernel's function, with the stores of page-table entries marked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hvolab.cli.options import JsonOption


def disasm(
    image: Annotated[Path, typer.Argument(help="Kernel image: vmlinuz, Image or vmlinux.")],
    function: Annotated[str, typer.Argument(help="Function of the kernel, or its VA (0x…).")],
    *,
    cache: Annotated[bool, typer.Option(help="Cache what is read of the image.")] = True,
    json: JsonOption = False,
) -> None:
    """Disassemble a kernel's function, and show the architecture plugin's own sequence that stores an entry.

    Exit code 0: the function is shown; 2: the image cannot be read, or has no such function.
    """
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
