# SPDX-License-Identifier: GPL-2.0-only
"""The kit for installed plugins: `pytest -p hvolab.conformance.pytest_plugin --pyargs hvolab.conformance`."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from hvolab.arch import Architecture
from hvolab.conformance.pytest_plugin import selected
from hvolab.conformance.suite import Conformance
from hvolab.plugin import registry


class TestConformance(Conformance):
    """Tests for the architectures that `--hvolab-arch` names, by default all that plugins describe."""

    @classmethod
    def architectures(cls, config: pytest.Config) -> Iterable[Architecture]:
        """Return the architectures that `--hvolab-arch` names."""
        names = selected(config)
        if names is None:
            return registry().architectures().values()
        return [architecture for architecture in registry().architectures().values() if architecture.name in names]
