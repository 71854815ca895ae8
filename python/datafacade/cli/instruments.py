"""``datafacade instruments``: what can be traded where."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from datafacade.cli.ask import TARGET_DEFAULT, Json, Target, ask
from datafacade.cli.message import plain, word
from datafacade.cli.output import out, remark, table_of, write_json
from datafacade.cli.text import clean
from datafacade.v1 import reference_pb2


def instruments(
    venue: Annotated[str, typer.Argument(help="As kraken or binance-usdm.")],
    search: Annotated[str, typer.Option("--search", "-s", help="Part of a symbol, any spelling.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="Rows for people; JSON has all.")] = 40,
    target: Target = TARGET_DEFAULT,
    as_json: Json = False,
) -> None:
    """List what a venue trades, from the venue's own list.

    Examples:
      datafacade instruments kraken --search btc
      datafacade instruments okx --json

    Exit codes: 0 listed, 1 no service answers, or there is no such venue.
    """
    rows = [row for row in ask(target, lambda client: client.list_instruments(venue)) if matches(row, search)]
    if as_json:
        write_json([plain(row) for row in rows])
        return
    table = table_of("symbol", "the venue says", "kind", "status", ">tick", ">lot")
    for row in rows[:limit]:
        status = str(word(reference_pb2.InstrumentStatus.DESCRIPTOR, row.status))
        table.add_row(
            Text(clean(row.symbol, 40), style="bold"),
            Text(clean(row.venue_symbol, 40)),
            str(word(reference_pb2.InstrumentType.DESCRIPTOR, row.type)).lower(),
            Text(status.lower(), style="green" if status == "TRADING" else "yellow"),
            Text(clean(row.tick_size, 24) or "-"),
            Text(clean(row.lot_size, 24) or "-"),
        )
    out().print(table)
    if len(rows) > limit:
        remark(f"{limit} of {len(rows)}: narrow it with --search, or see more with --limit {len(rows)}")
    elif not rows:
        remark(f"nothing matches {clean(search)!r}")


def matches(row: reference_pb2.Instrument, search: str) -> bool:
    """Tell whether any spelling of an instrument contains the search, signs and case aside."""
    wanted = letters(search)
    return any(wanted in letters(name) for name in (row.symbol, row.venue_symbol, *row.aliases))


def letters(name: str) -> str:
    """Return letters and digits only, in capitals.

    Example:
        >>> letters("xbt/usd")
        'XBTUSD'
    """
    return "".join(sign for sign in name.upper() if sign.isalnum())
