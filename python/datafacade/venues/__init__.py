"""Reach the venues: sockets and REST calls without meaning, and one module per venue for where things are."""
