"""The training loop for pretraining, SFT and DPO: schedule, data order, DeepSpeed engine, checkpoints, meters."""
