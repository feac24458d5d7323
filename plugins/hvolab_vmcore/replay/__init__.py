# SPDX-License-Identifier: GPL-2.0-only
"""Replay: an engine repeats what a kernel did between two cores, and the results are compared."""
