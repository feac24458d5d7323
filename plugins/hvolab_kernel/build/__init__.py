# SPDX-License-Identifier: GPL-2.0-only
"""Objects of a developer's own hugetlb_vmemmap.c, compiled as the file of an image was.

`toolchain` has the architectures as kbuild names them, and the compiler; `tree` the configured tree or unpacked
headers, and `flags` the compiler's arguments as kbuild lists them there. `objects` compiles, and keeps the object.
`watch` waits for the next change of the files, `patches` applies a series to a copy of the file.
"""
