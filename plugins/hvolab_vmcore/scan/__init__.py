"""Scan of a core: huge pages, vmemmap pages, frames with two owners, and findings."""
