# SPDX-License-Identifier: GPL-2.0-only
"""Files of dumps: one module for each format, and the interface that they share."""
