# SPDX-License-Identifier: GPL-2.0-only
"""QEMU: machines, the process, and its monitor."""
