"""Measurements; figures are kept in RESULTS.md."""
