"""Generates text with a decoder, and scores given continuations."""
