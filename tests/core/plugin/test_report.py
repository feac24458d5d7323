# SPDX-License-Identifier: GPL-2.0-only
"""Reports about plugins: the origin, the exception in one line, the place in the plugin's own files."""

from __future__ import annotations

import json
import types

import pytest

from hvolab.plugin import PluginOrigin, PluginProblem
from hvolab.plugin.report import package_of, raised_at, sentence, strict_error

ORIGIN = PluginOrigin("z80", "acme", "tests")


def test_an_origin_and_a_problem_name_plugin_and_distribution() -> None:
    assert str(ORIGIN) == "plugin 'z80' (distribution 'acme')"
    assert str(PluginProblem("z80", "", "it is late")) == "plugin 'z80' (registered by hand) is left out: it is late"


def test_an_exception_is_one_line_with_its_type() -> None:
    assert sentence(ValueError("two\nlines")) == "ValueError: two lines"
    assert sentence(KeyboardInterrupt()) == "KeyboardInterrupt"


def test_the_place_is_the_last_frame_of_the_plugins_own_package() -> None:
    with pytest.raises(json.JSONDecodeError) as caught:
        json.loads("{")
    assert raised_at(caught.value, "tests").partition(":")[0] == __file__
    assert raised_at(SyntaxError("bad", ("other.py", 7, 1, "")), "tests") == "other.py:7"
    assert raised_at(ValueError(), "elsewhere") == ""


def test_hvolabs_own_plugins_are_those_of_its_distribution() -> None:
    assert not ORIGIN.is_own
    assert PluginOrigin("x", "HVOLAB", "x").is_own


def test_the_package_of_a_plugin_is_that_of_its_module_or_class() -> None:
    assert package_of(types.ModuleType("acme.plugins")) == "acme"
    assert package_of(ORIGIN) == "hvolab"


def test_strict_mode_lists_every_problem() -> None:
    problems = [PluginProblem(name, "", "it is late") for name in ("a", "b")]
    assert strict_error(problems).what.splitlines()[0] == "2 plugins do not work"
    assert len(strict_error(problems).what.splitlines()) == 3
