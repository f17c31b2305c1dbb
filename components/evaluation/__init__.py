"""Evaluation: bits per byte by domain compared with two baselines, benchmark tasks run by lm-eval, samples, reports."""
