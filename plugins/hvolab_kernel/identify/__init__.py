"""Identification of a kernel's HVO: features, variant, struct page layout."""
