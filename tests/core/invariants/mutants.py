# SPDX-License-Identifier: GPL-2.0-only
"""Machines whose engine or pool is wrong on purpose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hvolab.arch import Target
from hvolab.invariants import Finding, Monitor
from hvolab.machine import MachineSpec
from hvolab.release import KernelRelease
from tests import machines
from tests.machines import MIB, Pools, x86_64

SMALL = MachineSpec(memory=512 * MIB, cpus=2)


def pools(spec: MachineSpec, target: Target | None = None) -> Pools:
    """Machines that go folio by folio, as they do when somebody listens: that is what the mutants change."""
    lab = machines.pools(spec, target)
    lab.machine.trace.listeners.append(lambda _: None)
    return lab


def pools_of(release: KernelRelease) -> Pools:
    """Machines of a release, folio by folio."""
    return pools(SMALL, x86_64(release=release))


def grown(lab: Pools, count: int = 3) -> None:
    lab.pools[0].set_max_huge_pages(count)


def broken(findings: list[Finding]) -> set[str]:
    """Rules with findings that neither the description nor a known fault of the release explains."""
    return {finding.rule for finding in findings if not (finding.declared or finding.fault)}


def watched(lab: Pools, act: Callable[[], Any]) -> list[Finding]:
    """What a monitor and a check at rest find when ``act`` runs."""
    monitor = Monitor(lab.machine)
    with monitor.watch():
        act()
    return monitor.findings + lab.findings()
