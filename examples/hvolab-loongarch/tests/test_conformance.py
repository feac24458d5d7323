# SPDX-License-Identifier: GPL-2.0-only
"""The conformance kit, run on LoongArch64."""

from __future__ import annotations

from hvolab.conformance import Conformance
from hvolab_loongarch.description import LOONGARCH


class TestLoongArch(Conformance):
    architecture = LOONGARCH
