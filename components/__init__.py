"""The stages of the pipeline in plain Python: data in, data out, independent of machines and services."""
