"""``datafacade sources``: who gave what, how often, and how fast."""

from __future__ import annotations

from typing import Annotated

import typer

from datafacade.cli.ask import TARGET_DEFAULT, Json, Target, ask
from datafacade.cli.message import plain
from datafacade.cli.output import out, print_table, write_json
from datafacade.cli.panels import sources_table


def sources(
    venue: Annotated[str, typer.Option("--venue", "-v", help="As kraken, or reconciled; all if empty.")] = "",
    target: Target = TARGET_DEFAULT,
    as_json: Json = False,
) -> None:
    """Print who gave what since the service started, how often it was used, and how fast it was.

    Examples:
      datafacade sources
      datafacade sources --venue reconciled --json

    Exit codes: 0 printed, 1 no service answers, or there is no such venue.
    """
    found = ask(target, lambda client: client.source_attribution(venue))
    if as_json:
        write_json([plain(row) for row in found])
        return
    print_table(out(), sources_table(found))
