"""``datafacade trades``: a venue's newest trades of any instrument, and where they come from."""

from __future__ import annotations

from typing import Annotated, Final

import typer
from rich.table import Table
from rich.text import Text

from datafacade.cli.ask import TARGET_DEFAULT, Json, Symbol, Target, Venue, ask
from datafacade.cli.output import out, print_table, table_of, write_json
from datafacade.cli.provenance import provenance_line
from datafacade.cli.text import NOTHING, clean, full, moment
from datafacade.cli.values import values
from datafacade.client import Trades

ROWS: Final = 20
ROWS_MAX: Final = 1_000
STYLES: Final = {"BUY": "green", "SELL": "red"}


def trades(
    venue: Venue,
    symbol: Symbol,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=ROWS_MAX, help="Rows, the newest ones.")
    ] = ROWS,
    target: Target = TARGET_DEFAULT,
    as_json: Json = False,
) -> None:
    """Print a venue's own newest trades, oldest first, and where they come from.

    Examples:
      datafacade trades kraken BTC-USD
      datafacade trades okx ETH-USDT --limit 100 --json

    Exit codes: 0 printed, 1 no service, unknown symbol, or the venue does not answer.
    """
    found = ask(target, lambda client: client.trades(venue, symbol, limit=limit))
    if as_json:
        write_json(values(found))
        return
    console = out()
    title = f"{clean(found.venue, 32)}:{clean(found.symbol, 40)}"
    console.print(Text.assemble((title, "bold"), (f"   {len(found.rows)} trades", "dim")))
    print_table(console, trades_table(found))
    console.print(provenance_line(found.provenance), soft_wrap=True)


def trades_table(found: Trades) -> Table:
    """Return a row for each trade."""
    table = table_of("time (UTC)", "taker", ">quantity", ">price", ">trade id")
    for row in found.rows:
        style = STYLES.get(row.side, "")
        table.add_row(
            moment(row.ts_event, has_millis=True) if row.ts_event else NOTHING,
            Text(clean(row.side, 16).lower() or NOTHING, style=style),
            f"{row.quantity:f}",
            Text(full(row.price), style=style),
            NOTHING if row.trade_id is None else str(row.trade_id),
        )
    return table
