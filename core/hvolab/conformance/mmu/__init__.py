# SPDX-License-Identifier: GPL-2.0-only
"""Accesses through every combination of entries: predicted by the model, and made by a CPU, as in kvm-unit-tests."""
