"""``datafacade cache``: what the cache holds, and how often it knew the answer."""

from __future__ import annotations

from rich.text import Text

from datafacade.cli.ask import TARGET_DEFAULT, Json, Target, ask
from datafacade.cli.message import plain
from datafacade.cli.output import out, print_table, write_json
from datafacade.cli.panels import cache_table


def cache(target: Target = TARGET_DEFAULT, as_json: Json = False) -> None:
    """Print hits, misses, entries and lifetime of each class of answers.

    Examples:
      datafacade cache
      datafacade cache --json

    Exit codes: 0 printed, 1 no service answers.
    """
    found = ask(target, lambda client: client.cache_stats())
    if as_json:
        write_json(plain(found))
        return
    console = out()
    print_table(console, cache_table(found))
    entries, size = (
        sum(getattr(row, name) for row in found.classes) for name in ("entries", "entries_bytes")
    )
    console.print(f"{entries:,} of {found.entries_max:,} entries, {size:,} bytes")
    if found.HasField("l2_connected"):
        state = ("connected", "green") if found.l2_connected else ("NOT CONNECTED", "bold yellow")
        console.print(Text.assemble("second tier ", state, f", {found.corrupt:,} values refused"))
