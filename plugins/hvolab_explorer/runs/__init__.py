# SPDX-License-Identifier: GPL-2.0-only
"""Runs of configurations: actors read from text, explored, repeated and shrunk."""
