"""Sweeps: each module holds one function of its own name that returns a `Sweep`."""
