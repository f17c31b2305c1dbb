"""Adapters to Ray: shards on Ray Data, training on Ray Train, pools of actors, and a local Ray."""
