"""Ladders and grids of small training runs that laws are fitted to, and their table of results."""
