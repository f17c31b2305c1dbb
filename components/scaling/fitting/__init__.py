"""Fitting scaling laws to finished runs. Needs numpy, which planning does not."""
