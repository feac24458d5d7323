"""`hvolab verify`: what optimized folios are to CPUs that execute."""

from __future__ import annotations

from typing import Annotated

import typer

from hvolab.cli.options import FeatureOption, JsonOption, ProfileOption


def verify(
    *,
    arch: Annotated[
        list[str] | None,
        typer.Option("--arch", "-a", metavar="NAME", help="Architectures, by name or alias; repeatable; default all."),
    ] = None,
    mode: Annotated[
        list[str] | None,
        typer.Option("--mode", "-m", metavar="NAME", help="Paging modes; repeatable; by default all of each."),
    ] = None,
    profile: ProfileOption = None,
    feature: FeatureOption = None,
    handler: Annotated[
        bool, typer.Option("--handler", help="Let a handler in the guest record faults, as a kernel's does.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Have emulated CPUs optimize huge pages, then load, store to, exchange and fetch from every tail.

    Each access must do what the description foretells: loads through a tail's alias give the head's bytes, stores fault
    with the very record of the architecture, or change the shared frame where the profile leaves tails writable; before
    the flush another CPU's store still lands in the frame that is about to be freed, after it none does.
    """
    # what emulates waits until something is to be emulated
    from hvolab.cli.errors import ExitCode  # noqa: PLC0415
    from hvolab.cli.output import print_json  # noqa: PLC0415
    from hvolab_unicorn.commands.verify_report import as_dict, progress, show_verifications  # noqa: PLC0415
    from hvolab_unicorn.verify.selection import select, verified  # noqa: PLC0415

    chosen = select(arch, mode, profile, feature)
    with progress(quiet=json) as tell:
        found = verified(chosen, handler=handler, progress=tell)
    if json:
        print_json(as_dict(found))
    else:
        show_verifications(found)
    if not all(one.as_declared for one in found.verifications):
        raise typer.Exit(ExitCode.FINDING)
