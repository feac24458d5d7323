# SPDX-License-Identifier: GPL-2.0-only
"""Actors: kernel code that runs against HVO, as short programs on one CPU, each in a module of its own."""
