# SPDX-License-Identifier: GPL-2.0-only
"""The conformance kit, run on s390x. What it leaves out it prints: an effective flush_tlb_all, live replacement."""

from __future__ import annotations

from hvolab.conformance import Conformance
from hvolab_s390x.description import S390X


class TestS390x(Conformance):
    architecture = S390X
