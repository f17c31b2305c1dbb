"""Pretraining: packed token batches in the plan's mixture make a base model."""
