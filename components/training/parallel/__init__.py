"""How a model is divided among workers: data, tensor, sequence and pipeline parallelism, applied to a decoder from outside."""
