# SPDX-License-Identifier: GPL-2.0-only
"""Plugins: their hooks, their discovery, and reports about those that do not work.

The author of a plugin needs `hookimpl` and the hooks of `hvolab.plugin.hookspecs`; a user of the API needs
`registry()`.
"""

from __future__ import annotations

from hvolab.plugin.hookspecs import hookimpl
from hvolab.plugin.registry import PluginRegistry, registry
from hvolab.plugin.report import PluginOrigin, PluginProblem, PluginStatus

__all__ = ["PluginOrigin", "PluginProblem", "PluginRegistry", "PluginStatus", "hookimpl", "registry"]
