# SPDX-License-Identifier: GPL-2.0-only
"""Commands of the package."""

from __future__ import annotations
