"""From a compute budget to a training plan: shape, batch and rate by a law, layout on accelerators, verdict afterwards."""
