"""The report of a run as one HTML page: curves of its trainings, its data, checks, evaluation and times."""
