"""The learned quality score: its sample, classifiers and calibration, and the documents refused by it."""
