"""Core files: headers, notes, VMCOREINFO, memory, and page tables."""
