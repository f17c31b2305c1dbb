"""Divides a model among workers: data, tensor, sequence and pipeline parallelism, applied without changing the model's code."""
