# SPDX-License-Identifier: GPL-2.0-only
"""A kernel's own code in the explorer: CPUs of one loaded kernel, interleaved instruction by instruction.

`knowledge` has what the schedules so far have shown: the words that CPUs share, and the instructions that touch them.
`translations` follows the mapping of the folios' struct pages, `spin_locks` the kernel's locks, `accesses` the loads
and stores of one CPU. `code` is what the explorer runs, `engine` its description for the command line.
Importing the package needs the extra `explore`.
"""
