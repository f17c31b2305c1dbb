"""Pretraining: trains a base model on packed token batches, following a plan and a mixture."""
