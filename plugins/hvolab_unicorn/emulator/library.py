"""The unicorn library: imported when a CPU is to be emulated, and what hvolab needs beyond its interface."""

from __future__ import annotations

import ctypes
import importlib
import struct
from collections.abc import Callable, Sequence
from functools import cache
from types import ModuleType
from typing import Any

from hvolab.errors import UsageError
from hvolab_unicorn.emulator.errors import EmulatorError

HINT = "pip install 'hvolab[emulation]'"


@cache
def unicorn() -> ModuleType:
    """The library; raises UsageError with what to install where it is missing."""
    try:
        return importlib.import_module("unicorn")
    except ImportError as error:
        raise UsageError(f"no CPU can be emulated: {error}", hint=HINT) from error


@cache
def constants(architecture: str) -> ModuleType:
    """The constants of one architecture, as ``UC_ARCH_X86``; raises UsageError where the library is missing."""
    unicorn()
    name = architecture.removeprefix("UC_ARCH_").lower()
    return importlib.import_module(f"unicorn.{name}_const")


def version() -> str:
    """Release of the library, for messages and caches."""
    return str(unicorn().__version__)


def translate(uc: Any, va: int, protection: int) -> int | None:
    """PA of ``va`` as the CPU has it now, stale or not, or ``None`` where it refuses.

    It looks where the CPU's next access would, and fills the TLB as that would: ask only for what was just accessed.
    The library exports the function, its Python interface has no method for it.
    """
    library = importlib.import_module("unicorn.unicorn_py3.unicorn").uclib
    found = ctypes.c_uint64()
    # its own prototypes are not declared, so the arguments are typed here
    status = library.uc_vmem_translate(uc._uch, ctypes.c_uint64(va), ctypes.c_uint32(protection), ctypes.byref(found))  # noqa: SLF001
    return found.value if status == 0 else None


def address_of(context: Any) -> int:
    """Host address of a saved context; its bytes are what ``bytes(context)`` gives."""
    address = ctypes.cast(context.context, ctypes.c_void_p).value
    if address is None:
        raise EmulatorError("a saved context is nowhere")
    return address


#: uc_cb_hookcode_t without its arguments (emulator, address, size of the block, user data): they come in registers,
#: which the caller looks after, so that a function may leave them alone; making objects of them takes half of a call.
_BLOCK_CALLBACK = ctypes.CFUNCTYPE(None)


def call_at(uc: Any, va: int, hear: Callable[[], None], *, inside: bool = False) -> object:
    """Have ``hear`` called whenever the emulator comes to a block of instructions that begins at ``va``.

    inside  also where the instruction at ``va`` stands within a block

    It has to catch whatever it raises. The emulator does not hold what is given here: its owner must, as long as it
    runs. Through the Python interface a call passes two functions more, which take as long as a short answer.
    Raises EmulatorError where the emulator refuses.
    """
    library, kinds = importlib.import_module("unicorn.unicorn_py3.unicorn").uclib, unicorn().unicorn_const
    callback = _BLOCK_CALLBACK(hear)
    handle = ctypes.c_size_t()
    status = library.uc_hook_add(
        uc._uch,  # noqa: SLF001 - as above
        ctypes.cast(ctypes.byref(handle), library.uc_hook_add.argtypes[1]),
        kinds.UC_HOOK_CODE if inside else kinds.UC_HOOK_BLOCK,
        ctypes.cast(callback, ctypes.c_void_p),
        None,
        ctypes.c_uint64(va),
        ctypes.c_uint64(va),
    )
    if status:
        raise EmulatorError(f"the emulator takes no hook at VA {va:#x}: error {status}")
    return callback


class Registers:
    """Integer registers of up to 64 bits, read and written without the Python interface's look at what each one is.

    That look takes several times as long as the access, and who is called back hundreds of times for a folio feels it.
    """

    def __init__(self, uc: Any) -> None:
        library = importlib.import_module("unicorn.unicorn_py3.unicorn").uclib
        self._handle = uc._uch  # noqa: SLF001 - as above
        # by index, functions are without prototypes, which would convert each argument anew
        self._read, self._write = library["uc_reg_read_batch"], library["uc_reg_write"]
        self._write.restype = self._read.restype = None
        self._numbers: dict[int, ctypes.c_int] = {}
        self._value = ctypes.c_uint64()
        self._at = ctypes.byref(self._value)

    def write(self, register: int, value: int) -> None:
        """Store a value in the register."""
        number = self._numbers.get(register)
        if number is None:
            number = self._numbers[register] = ctypes.c_int(register)
        self._value.value = value
        self._write(self._handle, number, self._at)

    def reader(self, registers: Sequence[int], form: str = "") -> Callable[[], tuple[int, ...]]:
        """What reads these registers, all at once.

        form  how each eight bytes are to be taken, in the notation of `struct`; empty: as unsigned numbers
        """
        count = len(registers)
        if not count:
            return tuple
        held = (ctypes.c_uint64 * count)()
        numbers = (ctypes.c_int * count)(*registers)
        places = (ctypes.c_void_p * count)(*(ctypes.addressof(held) + 8 * index for index in range(count)))
        given = (self._handle, ctypes.byref(numbers), ctypes.byref(places), ctypes.c_int(count))
        read, unpack = self._read, struct.Struct(f"<{form or 'Q' * count}").unpack_from

        def values() -> tuple[int, ...]:
            read(*given)
            return unpack(held)

        return values
