"""Memory cores of real kernels: opening them and reading HVO's state off their page tables."""
