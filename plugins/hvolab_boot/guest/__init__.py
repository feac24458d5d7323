# SPDX-License-Identifier: GPL-2.0-only
"""The guest's side: its one process, how that is built, and what it reports."""
