"""Scan of a core: huge pages, vmemmap pages, their owners, and findings."""
