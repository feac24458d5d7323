# SPDX-License-Identifier: GPL-2.0-only
"""Boot parameter and sysctl of HVO. Kernel: hugetlb_vmemmap_init(), v6.12."""

from __future__ import annotations

import re
from collections.abc import Iterable

from hvolab.errors import UsageError
from hvolab.hvo.command_line import Parameter, kstrtobool
from hvolab.hvo.sizes import HasOrder, VmemmapSizes
from hvolab.machine import Machine

SYSCTL = "vm.hugetlb_optimize_vmemmap"
BOOT_PARAMETER = "hugetlb_free_vmemmap"

#: What proc_dointvec() reads of a written text: an integer of any base that C has, then the end or a separator.
_INTEGER = re.compile(
    r"\s*(?P<sign>-?)(?:0x(?P<hex>[0-9a-f]{1,16})|0(?P<octal>[0-7]*)|(?P<decimal>[1-9][0-9]*))(?=[ \t\n]|\Z)",
    re.ASCII | re.IGNORECASE,
)
_BASES = {"hex": 16, "octal": 8, "decimal": 10}
_INT_MAX = (1 << 31) - 1


def enables(parameter: Parameter) -> bool:
    """Return whether ``hugetlb_free_vmemmap[=VALUE]`` on the kernel's command line enables HVO.

    The kernel reads the first letter of the value, and after an ``o`` the second. Raises UsageError for anything else,
    which a kernel reports and ignores.
    Kernel: core_param(hugetlb_free_vmemmap, …, bool), param_set_bool() in kernel/params.c, v6.12.
    """
    if parameter.value is None:
        return True
    enabled = kstrtobool(parameter.value)
    if enabled is None:
        raise UsageError(
            f"{parameter.value!r} is neither on nor off",
            where=str(parameter),
            rule="kstrtobool() in lib/kstrtox.c reads y, t, 1, on and n, f, 0, off by their first letters",
            hint=f"write {BOOT_PARAMETER}=on or =off",
        )
    return enabled


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
        """Enable HVO for folios from now on with any integer but 0, disable it with 0; raises UsageError for others.

        Kernel: proc_dobool(), proc_dointvec() in kernel/sysctl.c, v6.12.
        """
        self.read()
        match = _INTEGER.match(text)
        value = 0
        if match is not None and match.lastgroup is not None:
            value = int(match[match.lastgroup] or "0", _BASES[match.lastgroup])
        if match is None or value > _INT_MAX + (match["sign"] == "-"):
            raise UsageError(
                f"{text!r} cannot be written to {SYSCTL}",
                rule="proc_dobool() reads an integer, decimal, 0x or octal, that an int can hold: -EINVAL",
                hint="write 0 or 1",
            )
        self.machine.optimize_enabled = value != 0
