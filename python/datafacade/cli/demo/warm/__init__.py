"""``datafacade demo --warm``: ask for thousands of answers inside the venues' limits, and check each."""

from datafacade.cli.demo.warm.run import perform

__all__ = ["perform"]
