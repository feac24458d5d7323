"""`hvolab image`: the contents of a kernel image."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hvolab.cli.options import JsonOption


def image(
    image: Annotated[Path, typer.Argument(help="Kernel image: vmlinuz, Image or vmlinux.")],
    *,
    cache: Annotated[bool, typer.Option(help="Cache what is read of the image.")] = True,
    stubs: Annotated[
        bool, typer.Option("--stubs", help="Also list the functions that the machine performs for this kernel's code.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Show a kernel image: its format, segments, symbols and types, and the features of its HVO.

    Exit code 0: the image can be read, with or without HVO; 2: it cannot.
    """
    from hvolab.cli.output import print_json, show  # noqa: PLC0415
    from hvolab_kernel.commands.image_report import image_data, image_view, stubs_data, stubs_view  # noqa: PLC0415
    from hvolab_kernel.identify.features import features_of  # noqa: PLC0415
    from hvolab_vmlinux.open import open_kernel  # noqa: PLC0415

    kernel = open_kernel(image, use_cache=cache)
    features = features_of(kernel)
    if json:
        print_json(image_data(kernel, features) | (stubs_data(kernel) if stubs else {}))
        return
    show(image_view(kernel, features))
    if stubs:
        show(stubs_view(kernel))
