# SPDX-License-Identifier: GPL-2.0-only
"""The x86_64 architecture plugin: 4- and 5-level paging, 2 MiB and 1 GiB pages, PTI, SME."""

from __future__ import annotations

from hvolab.arch import Architecture
from hvolab.plugin import hookimpl
from hvolab_x86_64.description import X86_64


@hookimpl
def hvolab_architectures() -> tuple[Architecture, ...]:
    """Return the architectures of this plugin."""
    return (X86_64,)
