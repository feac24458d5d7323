# SPDX-License-Identifier: GPL-2.0-only
"""Boot parameter and sysctl of HVO. Kernel: hugetlb_vmemmap_init(), v6.12."""

from __future__ import annotations

from collections.abc import Iterable

from hvolab.errors import UsageError
from hvolab.hvo.sizes import HasOrder, VmemmapSizes
from hvolab.machine import Machine

SYSCTL = "vm.hugetlb_optimize_vmemmap"
BOOT_PARAMETER = "hugetlb_free_vmemmap"

_TRUE = {"y", "t", "1", "on"}
_FALSE = {"n", "f", "0", "of", "off"}


def parse_boot_parameter(argument: str) -> bool:
    """Return whether ``hugetlb_free_vmemmap[=VALUE]`` on the kernel's command line enables HVO.

    The kernel reads the first letter, and after an ``o`` the second. Raises UsageError for anything else.
    Kernel: core_param(hugetlb_free_vmemmap, …, bool), kstrtobool().
    """
    name, separator, value = argument.partition("=")
    if name != BOOT_PARAMETER:
        raise UsageError(f"{name!r} is not HVO's boot parameter", hint=f"it is {BOOT_PARAMETER}")
    if not separator:
        return True
    letters = value.lower()[: 2 if value[:1] in {"o", "O"} else 1]
    if letters in _TRUE or letters in _FALSE:
        return letters in _TRUE
    raise UsageError(f"{value!r} is neither on nor off", where=argument, hint=f"write {BOOT_PARAMETER}=on or =off")


class Sysctl:
    """``vm.hugetlb_optimize_vmemmap``: registered only if a huge page size can be optimized.

    Switching it off does not restore optimized folios.
    """

    def __init__(self, machine: Machine, hstates: Iterable[HasOrder]) -> None:
        self.machine = machine
        page_size, struct_page = machine.target.mode.page_size, machine.struct_pages.layout.size
        self.registered = any(VmemmapSizes(h.order, page_size, struct_page).optimizable for h in hstates)

    def read(self) -> str:
        """Return ``0`` or ``1``; raises UsageError if it is not registered."""
        if not self.registered:
            rule = "it is registered only if a huge page has more than one page of vmemmap"
            raise UsageError(f"{SYSCTL} is not registered on this machine", rule=rule)
        return str(int(self.machine.optimize_enabled))

    def write(self, text: str) -> None:
        """Enable or disable HVO for folios from now on; raises UsageError for anything but 0 and 1."""
        self.read()
        if text.strip() not in {"0", "1"}:
            raise UsageError(f"{text!r} cannot be written to {SYSCTL}", hint="write 0 or 1")
        self.machine.optimize_enabled = text.strip() == "1"
