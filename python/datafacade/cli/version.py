"""``datafacade version``: what is installed."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import version as installed

from datafacade.cli.ask import Json
from datafacade.cli.output import write_json

CONTRACT = "datafacade.v1"


def version(as_json: Json = False) -> None:
    """Print the version of the program and of its contract.

    Examples:
      datafacade version
      datafacade version --json
    """
    program, python = installed("datafacade"), platform.python_version()
    if as_json:
        write_json({"version": program, "contract": CONTRACT, "python": python})
    else:
        sys.stdout.write(f"datafacade {program}, contract {CONTRACT}, Python {python}\n")
