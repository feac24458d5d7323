# SPDX-License-Identifier: GPL-2.0-only
"""The powerpc architecture plugin: radix tables of little- and big-endian kernels, with pages of 4 and 64 KiB."""

from __future__ import annotations

from hvolab.arch import Architecture
from hvolab.plugin import hookimpl
from hvolab_ppc64.description import PPC64, PPC64LE


@hookimpl
def hvolab_architectures() -> tuple[Architecture, ...]:
    """Return the architectures of this plugin."""
    return (PPC64LE, PPC64)
