# SPDX-License-Identifier: GPL-2.0-only
"""Traces for ui.perfetto.dev, made from the data of a timeline."""

from __future__ import annotations
