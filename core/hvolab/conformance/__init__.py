# SPDX-License-Identifier: GPL-2.0-only
"""The conformance kit: checks that prove what an architecture plugin declares.

For an installed plugin there is nothing to write: `hvolab conformance NAME`. In the plugin's own suite, one class:

    from hvolab.conformance import Conformance
    from my_package.description import MY_ARCH

    class TestMine(Conformance):
        architecture = MY_ARCH

The suite is imported on first use: `hvolab conformance` and the options of pytest do not need it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hvolab.conformance.version import KIT

if TYPE_CHECKING:
    from hvolab.conformance.suite import Conformance

__all__ = ["KIT", "Conformance"]


def __getattr__(name: str) -> object:
    """Import the suite on first use; it needs pytest and hypothesis."""
    if name != "Conformance":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from hvolab.conformance.suite import Conformance  # noqa: PLC0415 - see above
    except ModuleNotFoundError as error:
        if error.name in {"hypothesis", "pytest"}:
            message = f"the conformance kit needs {error.name}: pip install 'hvolab[conformance]'"
            raise ModuleNotFoundError(message, name=error.name) from error
        raise
    return Conformance
