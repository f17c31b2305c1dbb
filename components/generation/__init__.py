"""Sampling from a decoder, and scoring continuations with it."""
