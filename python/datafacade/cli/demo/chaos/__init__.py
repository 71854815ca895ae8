"""``datafacade demo --chaos``: break everything for a while, then judge what clients were told."""

from datafacade.cli.demo.chaos.run import perform

__all__ = ["perform"]
