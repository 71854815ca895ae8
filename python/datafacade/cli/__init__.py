"""The command line: ``datafacade serve | watch | demo | book | health | ...``."""
