# SPDX-License-Identifier: GPL-2.0-only
"""CPUs: the interface that all of HVO's accesses go through, and the modeled CPU with its TLB."""
