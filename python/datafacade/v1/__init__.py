"""Generated messages and service of `datafacade.v1`; `proto/generate.py` writes this room."""
