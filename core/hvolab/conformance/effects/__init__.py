# SPDX-License-Identifier: GPL-2.0-only
"""Comparison of instruction sequences, executed by a CPU, with their declared effects, evaluated in Python."""
