# SPDX-License-Identifier: GPL-2.0-only
"""The package that `hvolab new` writes: it installs, passes its tests, and marks its invented figures."""

from __future__ import annotations

from hvolab.authoring.write import package_of, write_architecture

__all__ = ["package_of", "write_architecture"]
