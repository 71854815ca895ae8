"""Build everything from the configuration and run it: the only room where objects are made and joined."""

from datafacade.app.build import Factory
from datafacade.app.run import record, run_service, serve

__all__ = ["Factory", "record", "run_service", "serve"]
