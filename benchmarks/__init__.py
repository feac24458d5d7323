# SPDX-License-Identifier: GPL-2.0-only
"""Benchmarks of hvolab: ``python -m benchmarks`` runs all of them, README.md says what each measures."""
