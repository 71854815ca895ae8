"""Suites of measurements; `python -m benches.python.run`."""
