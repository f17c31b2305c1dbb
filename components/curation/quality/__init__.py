"""The learned quality score: draws a sample, trains classifiers, calibrates scores and refuses the lowest."""
