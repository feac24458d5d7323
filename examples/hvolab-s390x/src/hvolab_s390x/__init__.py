# SPDX-License-Identifier: GPL-2.0-only
"""The s390x architecture plugin: no plain store may replace a live entry, and flush_tlb_all() does nothing."""

from __future__ import annotations

from hvolab.arch import Architecture
from hvolab.plugin import hookimpl
from hvolab_s390x.description import S390X


@hookimpl
def hvolab_architectures() -> tuple[Architecture, ...]:
    """Return the architectures of this plugin."""
    return (S390X,)
