# SPDX-License-Identifier: GPL-2.0-only
"""Kernel command line of a scenario: HVO's switch, and the huge pages that are allocated at boot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hvolab.arch import Target
from hvolab.errors import UsageError, choice_hint
from hvolab.hugetlb import cma_areas, parse_hugetlb
from hvolab.hugetlb.hstate import max_page_order
from hvolab.hvo.command_line import Parameter, parse_args
from hvolab.hvo.knobs import BOOT_PARAMETER, enables
from hvolab.scenario.operations import OPERATIONS, Request
from hvolab.units import format_short

_HUGETLB: Final = ("hugepagesz", "hugepages", "default_hugepagesz", "hugetlb_cma")
_KNOWN: Final = (BOOT_PARAMETER, *_HUGETLB)


@dataclass(frozen=True)
class BootSettings:
    """Settings of a command line.

    optimize_enabled  whether HVO is on
    operations        the operation `boot` for each size, gigantic pages first, as the kernel allocates them
    cma               whether areas for gigantic pages are reserved
    messages          what the kernel prints about parameters that it ignores
    """

    optimize_enabled: bool = True
    operations: tuple[Request, ...] = ()
    cma: bool = False
    messages: tuple[str, ...] = ()


def parse_boot(text: str, target: Target, nodes: int) -> BootSettings:
    """Parse parameters of the kernel's command line; of a parameter that occurs again, the last value counts.

    Raises UsageError for one that is not modeled here, and for a value of HVO's that is neither on nor off. Values of
    hugetlb's parameters are taken or ignored as by the kernel.
    """
    parameters = tuple(parse_args(text))
    for parameter in parameters:
        _require_known(parameter)
    switches = [enables(one) for one in parameters if one.matches(BOOT_PARAMETER)]
    sizes = [huge.size for huge in target.mode.huge_pages]
    middle = target.mode.levels[-2].size
    requests = parse_hugetlb(parameters, sizes, middle if middle in sizes else sizes[0], nodes)
    cma, messages = cma_areas(requests, max(sizes), nodes)
    smallest = target.mode.page_size << max_page_order(target.mode) + 1  # of gigantic pages
    skipped = [size for size in requests.pages if cma and size >= smallest]
    if skipped:
        messages += ("HugeTLB: hugetlb_cma is enabled, skip boot time allocation",)
    ordered = sorted((size, count) for size, count in requests.pages.items() if size not in skipped)
    operations = tuple(Request(OPERATIONS["boot"], size, count) for size, count in reversed(ordered))
    return BootSettings(switches[-1] if switches else True, operations, cma, requests.messages + messages)


def _require_known(parameter: Parameter) -> None:
    """Raise UsageError for a parameter that is not modeled, or has no value and needs one."""
    name = next((name for name in _KNOWN if parameter.matches(name)), None)
    if name is None:
        what = f"{parameter.name!r} is not a boot parameter that is modeled"
        raise UsageError(what, hint=choice_hint(parameter.name, _KNOWN))
    if name in _HUGETLB and parameter.value is None:
        example = "2" if name == "hugepages" else format_short(1 << 30 if name == "hugetlb_cma" else 2 << 20)
        rule = f"the kernel passes {name} without a value to init"
        raise UsageError(f"{name} has no value", rule=rule, hint=f"write {name}={example}")
