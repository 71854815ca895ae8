"""``datafacade demo``: simulator, service and client in one terminal."""

from datafacade.cli.demo.command import demo

__all__ = ["demo"]
