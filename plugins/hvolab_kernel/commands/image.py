"""`hvolab image`: what is in a kernel image."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hvolab.cli.options import JsonOption


def image(
    image: Annotated[Path, typer.Argument(help="Kernel image: vmlinuz, Image or vmlinux.")],
    *,
    cache: Annotated[bool, typer.Option(help="Keep what is read of the image for the next time.")] = True,
    stand_ins: Annotated[
        bool, typer.Option("--stand-ins", help="Also list what the machine answers for when this kernel's code runs.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Show what a kernel image is, what can be read of it, and what it has of HVO.

    Exit code 0: it can be read, with or without HVO; 2: it cannot.
    """
    # what reads images waits until one is to be read
    from hvolab.cli.output import print_json, show  # noqa: PLC0415
    from hvolab_kernel.commands.image_report import image_data, image_view, stand_ins_data, stand_ins_view  # noqa: PLC0415
    from hvolab_kernel.identify.features import features_of  # noqa: PLC0415
    from hvolab_vmlinux.open import open_kernel  # noqa: PLC0415

    kernel = open_kernel(image, use_cache=cache)
    features = features_of(kernel)
    if json:
        print_json(image_data(kernel, features) | (stand_ins_data(kernel) if stand_ins else {}))
        return
    show(image_view(kernel, features))
    if stand_ins:
        show(stand_ins_view(kernel))
