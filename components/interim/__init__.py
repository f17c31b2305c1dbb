"""Interim tables: temporary Arrow files that steps pass to each other, and the shuffle that groups their rows by key."""

from components.interim.files import SUFFIX, read, read_batch, rows, write, writer

__all__ = ["SUFFIX", "read", "read_batch", "rows", "write", "writer"]
