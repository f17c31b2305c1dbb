"""Byte-level BPE: train it, encode with it, its special tokens and chat format, and token shards."""
