# SPDX-License-Identifier: GPL-2.0-only
"""Type information of a kernel (BTF)."""
