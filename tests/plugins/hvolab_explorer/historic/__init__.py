# SPDX-License-Identifier: GPL-2.0-only
"""Historic bugs of HVO, as fixes taken out of the engine, the pool and the machine."""
