# SPDX-License-Identifier: GPL-2.0-only
"""Access to the unicorn library: what its Python interface lacks, its errors, and a watchdog for guests."""
