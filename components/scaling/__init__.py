"""Scaling laws, plans by them, sweeps of trainings, and fits of laws to them. Pure arithmetic, but for `fitting`."""
