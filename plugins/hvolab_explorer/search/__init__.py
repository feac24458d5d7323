# SPDX-License-Identifier: GPL-2.0-only
"""Searches: which schedules to run, and whether none is left."""
