"""A step in its pod: the process that watches it, and how it ends."""
