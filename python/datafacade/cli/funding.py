"""``datafacade funding``: funding rates of a perpetual, and where they come from."""

from __future__ import annotations

from typing import Annotated, Final

import typer
from rich.table import Table
from rich.text import Text

from datafacade.cli.ask import TARGET_DEFAULT, Json, Symbol, Target, ask
from datafacade.cli.output import out, print_table, table_of, write_json
from datafacade.cli.provenance import provenance_line
from datafacade.cli.text import NOTHING, NS_PER_S, clean, full, moment, span
from datafacade.cli.values import values
from datafacade.client import Funding, FundingRow

ROWS: Final = 10
ROWS_MAX: Final = 1_000


def funding(
    venue: Annotated[str, typer.Argument(help="As binance-usdm, okx or kraken; Coinbase has none.")],
    symbol: Symbol,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=ROWS_MAX, help="Settled rows, the newest ones.")
    ] = ROWS,
    target: Target = TARGET_DEFAULT,
    as_json: Json = False,
) -> None:
    """Print the funding rates of a perpetual, the estimated one last, and where they come from.

    Examples:
      datafacade funding binance-usdm BTCUSDT
      datafacade funding okx BTC-USDT --limit 90 --json

    Exit codes: 0 printed, 1 no service, unknown symbol, or a venue without perpetuals.
    """
    found = ask(target, lambda client: client.funding(venue, symbol, limit=limit))
    if as_json:
        write_json(values(found))
        return
    console = out()
    console.print(Text(f"{clean(found.venue, 32)}:{clean(found.symbol, 40)}", style="bold"))
    print_table(console, funding_table(found))
    console.print(provenance_line(found.provenance), soft_wrap=True)


def funding_table(found: Funding) -> Table:
    """Return a row for each rate, the estimated one last."""
    table = table_of("paid (UTC)", ">rate", ">for", ">mark", ">index", "")
    for row in found.rows:
        _add(table, row)
    if found.next is not None:
        _add(table, found.next)
    return table


def _add(table: Table, row: FundingRow) -> None:
    table.add_row(
        moment(row.ts_funding),
        Text(f"{row.rate * 100:+f} %", style="red" if row.rate < 0 else "green"),
        span(row.interval_s * NS_PER_S) if row.interval_s else NOTHING,
        full(row.mark_price),
        full(row.index_price),
        Text(clean(row.state, 16).lower(), style="yellow" if row.state == "ESTIMATED" else ""),
    )
