# SPDX-License-Identifier: GPL-2.0-only
"""The machine under exploration: CPUs and services whose operations are steps of a scheduler."""
