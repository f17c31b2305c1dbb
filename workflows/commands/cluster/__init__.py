"""Commands about a cluster: its profile, deploying to it, examining it, and runs on it."""
