# SPDX-License-Identifier: GPL-2.0-only
"""A kernel's code: instructions, data flow, calls, bug table, stubs."""
