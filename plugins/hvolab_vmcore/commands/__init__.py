# SPDX-License-Identifier: GPL-2.0-only
"""Commands `hvolab inspect`, `hvolab page` and `hvolab replay`."""
