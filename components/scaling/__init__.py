"""Published scaling laws and the plan they give for a compute budget. Pure arithmetic, no torch."""
