"""Formats of an unwrapped kernel: ELF headers, link address of flat images, relocations."""
