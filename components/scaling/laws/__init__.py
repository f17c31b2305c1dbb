"""Scaling laws as values: the published ones, law files, what a law predicts, and two laws compared. Pure arithmetic."""
