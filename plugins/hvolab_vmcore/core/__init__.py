"""Core files: format, notes, VMCOREINFO, page tables."""
