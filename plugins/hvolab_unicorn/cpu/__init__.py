# SPDX-License-Identifier: GPL-2.0-only
"""Emulated CPUs: steps executed by one instance of unicorn, faults recorded as the architecture reports them."""
