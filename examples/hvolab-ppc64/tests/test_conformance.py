# SPDX-License-Identifier: GPL-2.0-only
"""The conformance kit, run on both kernels. It prints what it leaves out: stores may not replace live entries."""

from __future__ import annotations

from hvolab.conformance import Conformance
from hvolab_ppc64.description import PPC64, PPC64LE


class TestLittleEndian(Conformance):
    architecture = PPC64LE


class TestBigEndian(Conformance):
    architecture = PPC64
