"""Filters and transforms over tables: pure functions, no network."""
