"""Reader of Linux kernel images: containers, ELF, symbols, types, relocations. Knows nothing of HVO."""
