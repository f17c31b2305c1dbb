"""The report of a run as one HTML page: curves of its training runs, its data, checks, evaluation and times."""
