"""The command line: one verb per use case; faces translate, never decide."""
