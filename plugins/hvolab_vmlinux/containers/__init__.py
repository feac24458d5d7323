"""Wrappings of a kernel image: files, compressions, bzImage and EFI zboot."""
