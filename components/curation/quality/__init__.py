"""The learned quality score: its sample, its classifiers, its calibration, and who is refused by it."""
