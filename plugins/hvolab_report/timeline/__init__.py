# SPDX-License-Identifier: GPL-2.0-only
"""Timeline: recorded steps as compact data, and the page that shows them."""

from __future__ import annotations
