# SPDX-License-Identifier: GPL-2.0-only
"""A small Sphinx extension: pages generated from hvolab, and its docstrings.

Only `sphinx_extension` needs Sphinx; tests use the other modules without it.
"""

from __future__ import annotations
