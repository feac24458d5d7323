# SPDX-License-Identifier: GPL-2.0-only
"""Commands `hvolab inspect` and `hvolab replay`."""
