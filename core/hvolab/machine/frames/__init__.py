"""Frames: the page allocator, zones, free lists, and allocations that fail on request."""
