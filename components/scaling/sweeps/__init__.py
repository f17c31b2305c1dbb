"""Ladders and grids of small trainings that laws are fitted to, and their table of results."""
