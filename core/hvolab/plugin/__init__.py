"""Plugins: which hooks there are, how plugins are found, and what is said about one that does not work.

An author needs `hookimpl` and the two hooks of `hvolab.plugin.hookspecs`; a user of the API needs `registry()`.
"""

from __future__ import annotations

from hvolab.plugin.hookspecs import hookimpl
from hvolab.plugin.registry import PluginRegistry, registry
from hvolab.plugin.report import PluginOrigin, PluginProblem

__all__ = ["PluginOrigin", "PluginProblem", "PluginRegistry", "hookimpl", "registry"]
