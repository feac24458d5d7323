"""Struct pages: their layout, access to them, lists through them, and per-frame flags."""
