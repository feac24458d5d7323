"""Command `hvolab verify`."""
