# SPDX-License-Identifier: GPL-2.0-only
"""The command line `hvolab`: its commands, their options and their output."""

from __future__ import annotations
