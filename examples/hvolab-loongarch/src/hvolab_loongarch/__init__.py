# SPDX-License-Identifier: GPL-2.0-only
"""The LoongArch64 architecture plugin: three page sizes, no PAGE_KERNEL_RO, stores gated by the dirty bit."""

from __future__ import annotations

from hvolab.arch import Architecture
from hvolab.plugin import hookimpl
from hvolab_loongarch.description import LOONGARCH


@hookimpl
def hvolab_architectures() -> tuple[Architecture, ...]:
    """Return the architectures of this plugin."""
    return (LOONGARCH,)
