# SPDX-License-Identifier: GPL-2.0-only
"""The unicorn library, imported on first use, and functions that its Python interface lacks."""

from __future__ import annotations

import ctypes
import importlib
import re
import struct
from collections.abc import Callable, Sequence
from functools import cache
from types import ModuleType
from typing import Any

from hvolab.errors import UsageError
from hvolab_unicorn.emulator.errors import EmulatorError

HINT = "pip install 'hvolab[emulation]'"
_NUMBER = re.compile(r"\d+")
#: The first release with uc_vmem_translate(); uc_ctl() sets the size of the TCG buffer since 2.1.2.
OLDEST = (2, 1, 4)


@cache
def unicorn() -> ModuleType:
    """Return the library; raises UsageError where it is not installed, or too old."""
    try:
        found = importlib.import_module("unicorn")
    except ImportError as error:
        raise UsageError(f"no CPU can be emulated: {error}", hint=HINT) from error
    if tuple(map(int, _NUMBER.findall(found.__version__)))[:3] < OLDEST:
        raise UsageError(
            f"unicorn {found.__version__} is too old to emulate a CPU",
            rule=f"hvolab needs unicorn {'.'.join(map(str, OLDEST))} or later",
            hint=HINT,
        )
    return found


@cache
def constants(architecture: str) -> ModuleType:
    """Return the constants of an architecture such as `UC_ARCH_X86`; raises UsageError without the library."""
    unicorn()
    name = architecture.removeprefix("UC_ARCH_").lower()
    return importlib.import_module(f"unicorn.{name}_const")


@cache
def register_number(architecture: str, name: str) -> int:
    """Return the number of a register, such as `rip` of `UC_ARCH_X86`."""
    number: int = getattr(constants(architecture), f"{architecture.replace('_ARCH', '')}_REG_{name.upper()}")
    return number


@cache
def _functions() -> Any:
    """Return the C functions of the library."""
    return importlib.import_module("unicorn.unicorn_py3.unicorn").uclib


def _handle(uc: Any) -> Any:
    """Return the library's handle of an emulator."""
    return uc._uch  # noqa: SLF001 - the Python interface lacks the functions that take it


def version() -> str:
    """Return the release of the library, for messages and caches."""
    return str(unicorn().__version__)


def translate(uc: Any, va: int, protection: int) -> int | None:
    """Return the PA of `va` as the CPU translates it now, stale or not; `None` where it refuses.

    It looks up the TLB as the CPU's next access would, and fills it: call it only for a VA that was just accessed.
    """
    found = ctypes.c_uint64()
    # the library declares no prototype for it, so the arguments are typed here
    status = _functions().uc_vmem_translate(
        _handle(uc), ctypes.c_uint64(va), ctypes.c_uint32(protection), ctypes.byref(found)
    )
    return found.value if status == 0 else None


def address_of(context: Any) -> int:
    """Return the host address of a saved context, whose bytes are `bytes(context)`."""
    address = ctypes.cast(context.context, ctypes.c_void_p).value
    if address is None:
        raise EmulatorError("the emulator saved no context")
    return address


#: uc_cb_hookcode_t without its arguments (emulator, address, size of the block, user data): they come in registers
#: that the caller saves, so a function may ignore them, and making objects of them takes half of a call.
_BLOCK_CALLBACK = ctypes.CFUNCTYPE(None)


def call_at(uc: Any, va: int, callback: Callable[[], None], *, inside: bool = False) -> object:
    """Call `callback`, which must not raise, whenever the emulator enters a block of instructions that begins at `va`.

    inside  also where the instruction at `va` is within a block
    Returns an object that the caller keeps as long as the emulator runs. A hook of the Python interface passes two
    more functions, which take as long as a short callback. Raises EmulatorError where the emulator refuses.
    """
    kinds = unicorn().unicorn_const
    called = _BLOCK_CALLBACK(callback)
    _add_hook(uc, kinds.UC_HOOK_CODE if inside else kinds.UC_HOOK_BLOCK, called, va, va)
    return called


#: uc_cb_hookmem_t up to the address and size: the value and user data follow.
_ACCESS_CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int, ctypes.c_uint64, ctypes.c_int)
#: Called with the emulator, the kind of access, its PA and its bytes.
Accessed = Callable[[Any, int, int, int], None]


class AccessHook:
    """Calls `callback`, which must not raise, at each load or each store at a PA from `first` to `last`.

    It is called before a store takes effect. Accesses of the page-table walker are not reported, nor those that fault.
    The caller keeps it as long as the emulator runs. Must precede the translation of the code; later it can be removed
    and added again. Raises EmulatorError where the emulator refuses.
    """

    def __init__(self, uc: Any, first: int, last: int, callback: Accessed, *, stores: bool) -> None:
        kinds = unicorn().unicorn_const
        self._arguments = first, last
        self._kind = kinds.UC_HOOK_MEM_WRITE if stores else kinds.UC_HOOK_MEM_READ
        self._uc, self._called = uc, _ACCESS_CALLBACK(callback)
        self.add()

    def add(self) -> None:
        """Report accesses again."""
        self._hook = _add_hook(self._uc, self._kind, self._called, *self._arguments)

    def remove(self) -> None:
        """Report none until it is added again; a callback of the emulator may do both."""
        _functions().uc_hook_del(_handle(self._uc), self._hook)


def _add_hook(uc: Any, kind: int, called: Any, first: int, last: int) -> Any:
    """Add a hook for a range of addresses, and return the library's handle of it; raises EmulatorError if refused."""
    library, hook = _functions(), ctypes.c_size_t()
    status = library.uc_hook_add(
        _handle(uc),
        ctypes.cast(ctypes.byref(hook), library.uc_hook_add.argtypes[1]),
        kind,
        ctypes.cast(called, ctypes.c_void_p),
        None,
        ctypes.c_uint64(first),
        ctypes.c_uint64(last),
    )
    if status:
        raise EmulatorError(f"the emulator refuses a hook at address {first:#x}: error {status}")
    return hook


class Registers:
    """Integer registers of up to 64 bits, without the Python interface's search for the type of each.

    The search takes several times as long as the access, and a kernel's folio takes hundreds of accesses.
    """

    def __init__(self, uc: Any) -> None:
        library = _functions()
        self._handle = _handle(uc)
        # accesses are too short to release Python's lock for them; by index, functions have no prototypes, which would
        # convert each argument every time
        functions = ctypes.PyDLL(library._name, handle=library._handle)  # noqa: SLF001 - ctypes has no other names
        self._read, self._write = functions["uc_reg_read_batch"], functions["uc_reg_write"]
        self._write.restype = self._read.restype = None
        self._numbers: dict[int, ctypes.c_int] = {}
        self._value = ctypes.c_uint64()
        self._at = ctypes.byref(self._value)

    def write(self, register: int, value: int) -> None:
        """Store a value in a register."""
        number = self._numbers.get(register)
        if number is None:
            number = self._numbers[register] = ctypes.c_int(register)
        self._value.value = value
        self._write(self._handle, number, self._at)

    def reader(self, registers: Sequence[int], form: str = "") -> Callable[[], tuple[int, ...]]:
        """Return a function that reads these registers, all at once.

        form  type of each eight bytes in the notation of `struct`; empty: unsigned numbers
        """
        count = len(registers)
        if not count:
            return tuple
        values = (ctypes.c_uint64 * count)()
        numbers = (ctypes.c_int * count)(*registers)
        addresses = (ctypes.c_void_p * count)(*(ctypes.addressof(values) + 8 * index for index in range(count)))
        arguments = (self._handle, ctypes.byref(numbers), ctypes.byref(addresses), ctypes.c_int(count))
        read, unpack = self._read, struct.Struct(f"<{form or 'Q' * count}").unpack_from

        def read_values() -> tuple[int, ...]:
            read(*arguments)
            return unpack(values)

        return read_values
