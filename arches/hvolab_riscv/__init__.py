# SPDX-License-Identifier: GPL-2.0-only
"""The riscv architecture plugin."""

from __future__ import annotations

from hvolab.arch import Architecture
from hvolab.plugin import hookimpl
from hvolab_riscv.description import RISCV


@hookimpl
def hvolab_architectures() -> tuple[Architecture, ...]:
    """Return the architectures of this plugin."""
    return (RISCV,)
