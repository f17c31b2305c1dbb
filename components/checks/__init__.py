"""Checks between stages: Great Expectations suites on the metrics tables that each stage leaves behind.

`check(limits, artifact=…, output=…)` of each module returns a `CheckReport` and writes the same as one HTML page.
"""
