# SPDX-License-Identifier: GPL-2.0-only
"""Targets whose walks are compared."""

from __future__ import annotations

from hvolab.arch import Target
from hvolab.plugin import registry

DEFAULTS = ("x86_64", "arm64", "riscv")
EMULATED = [
    (architecture.name, mode.name)
    for architecture in registry().architectures().values()
    if architecture.emulation is not None and architecture.name in DEFAULTS
    for mode in architecture.modes
    if not architecture.emulation.refusal(architecture.select(mode.name))
]


def target_of(architecture: str, mode: str | None = None) -> Target:
    return registry().architecture(architecture).select(mode)
