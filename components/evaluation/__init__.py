"""Evaluation: bits per byte by domain beside two baselines, benchmark tasks through lm-eval, samples, reports."""
