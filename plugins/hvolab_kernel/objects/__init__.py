# SPDX-License-Identifier: GPL-2.0-only
"""A developer's mm/hugetlb_vmemmap.o, linked over the kernel of an image: `link_object()` of `link`."""
