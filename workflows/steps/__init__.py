"""Executes steps: reuses or makes their artifacts, records them and checks them; reads journals and lineages of runs."""
