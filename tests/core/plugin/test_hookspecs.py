# SPDX-License-Identifier: GPL-2.0-only
"""The hooks: their names, and markers that pluggy recognizes."""

from __future__ import annotations

import pluggy

from hvolab.plugin import hookimpl, hookspecs


def test_every_hook_has_the_prefix_and_a_description() -> None:
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    names = [name for name in vars(hookspecs) if manager.parse_hookspec_opts(hookspecs, name) is not None]
    assert sorted(names) == [
        f"hvolab_{name}"
        for name in ("actors", "architectures", "commands", "cpus", "dump_formats", "engines", "reports", "stubs")
    ]
    for name in names:
        assert name.startswith(hookspecs.HOOK_PREFIX)
        assert "Checked" in (getattr(hookspecs, name).__doc__ or "")


def test_a_marked_function_is_an_implementation() -> None:
    class Plugin:
        @hookimpl
        def hvolab_cpus(self) -> dict[str, object]:
            return {"wooden": object()}

    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(Plugin())
    assert [list(kinds) for kinds in manager.hook.hvolab_cpus()] == [["wooden"]]
