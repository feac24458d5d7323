"""Physical memory, and the page tables in it."""
