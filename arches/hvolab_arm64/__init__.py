# SPDX-License-Identifier: GPL-2.0-only
"""The arm64 architecture plugin."""

from __future__ import annotations

from hvolab.arch import Architecture
from hvolab.plugin import hookimpl
from hvolab_arm64.description import ARM64


@hookimpl
def hvolab_architectures() -> tuple[Architecture, ...]:
    """Return the architectures of this plugin."""
    return (ARM64,)
