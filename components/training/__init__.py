"""The one training loop: schedule, data order, DeepSpeed engine, checkpoints, meters."""
