# SPDX-License-Identifier: GPL-2.0-only
"""hvolab: a workbench for HVO, the Linux kernel's HugeTLB Vmemmap Optimization."""

from __future__ import annotations

from importlib import metadata

try:
    __version__ = metadata.version("hvolab")  # of the newest tag, when the package was built
except metadata.PackageNotFoundError:
    __version__ = "0+unknown"  # a bare checkout on PYTHONPATH
