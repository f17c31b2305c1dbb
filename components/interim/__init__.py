"""Interim tables: what passes from one step to the next as Arrow files, and the shuffle that groups their rows by key."""

from components.interim.files import SUFFIX, read, read_batch, rows, write, writer

__all__ = ["SUFFIX", "read", "read_batch", "rows", "write", "writer"]
