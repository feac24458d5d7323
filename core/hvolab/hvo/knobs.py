"""The switches of HVO: the boot parameter and the sysctl. Kernel: hugetlb_vmemmap_init(), v6.12."""

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
    """What ``hugetlb_free_vmemmap[=VALUE]`` on the kernel's command line switches HVO to.

    The kernel looks at the first letter, and after an ``o`` at the second. Raises UsageError for anything else.
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
    """``vm.hugetlb_optimize_vmemmap``: there only if a huge page size can be optimized.

    Switching it off leaves optimized folios as they are.
    """

    def __init__(self, machine: Machine, hstates: Iterable[HasOrder]) -> None:
        self.machine = machine
        page_size, struct_page = machine.target.mode.page_size, machine.struct_pages.layout.size
        self.registered = any(VmemmapSizes(h.order, page_size, struct_page).optimizable for h in hstates)

    def read(self) -> str:
        """``0`` or ``1``; raises UsageError where it is not registered."""
        self._require()
        return str(int(self.machine.optimize_enabled))

    def write(self, text: str) -> None:
        """Switch HVO on or off for folios to come; raises UsageError for anything but 0 and 1."""
        self._require()
        if text.strip() not in {"0", "1"}:
            raise UsageError(f"{text!r} cannot be written to {SYSCTL}", hint="write 0 or 1")
        self.machine.optimize_enabled = text.strip() == "1"

    def _require(self) -> None:
        if not self.registered:
            raise UsageError(
                f"there is no {SYSCTL} on this machine",
                rule="it is registered only if a huge page has more vmemmap than the page that stays",
            )
