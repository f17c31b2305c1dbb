"""Scaling laws, plans by them, sweeps of training runs, and fits of laws to them. Pure arithmetic, but for `fitting`."""
