"""Type information of a kernel (BTF)."""
