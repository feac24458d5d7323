# SPDX-License-Identifier: GPL-2.0-only
"""The commands `hvolab image`, `hvolab disasm` and `hvolab kernel`."""
