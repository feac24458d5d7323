# SPDX-License-Identifier: GPL-2.0-only
"""Memory cores of a guest, cut to what HVO uses."""
