# SPDX-License-Identifier: GPL-2.0-only
"""Recording of machines: their events as steps, with the kernel functions in progress and the contents of TLBs."""

from __future__ import annotations
