"""The instructions around a place, for who is told that a call ended there."""

from __future__ import annotations

from typing import Final

from hvolab.errors import HvolabError
from hvolab_kernel.code.instructions import function_named
from hvolab_vmlinux.kernel import Kernel

#: Instructions that are shown before the place, and behind it.
_AROUND: Final = 4


def around(kernel: Kernel, va: int) -> tuple[str, ...]:
    """The instructions of a function around ``va``, each with its offset, the one there marked by an arrow.

    Nothing where no code of the image is there, or no disassembler is installed.
    """
    try:
        function = function_named(kernel, f"{va:#x}")
    except HvolabError:
        return ()
    instructions = function.instructions
    place = next((index for index, one in enumerate(instructions) if one.va == va), None)
    if place is None:
        return ()
    return tuple(
        f"{'-> ' if one.va == va else ''}+{one.va - function.va:#x} {one.mnemonic} {one.text}".rstrip()
        for one in instructions[max(0, place - _AROUND) : place + _AROUND + 1]
    )
