"""The plan for a time: how fast this machine trains, what fits the time, and the answer as text and as JSON."""
