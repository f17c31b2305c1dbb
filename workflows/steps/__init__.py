"""How a step is done: cached or made, recorded, gated; and what runs and artifacts say of themselves."""
