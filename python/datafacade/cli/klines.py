"""``datafacade klines``: a venue's klines of any instrument, and where they come from."""

from __future__ import annotations

from typing import Annotated, Final

import typer
from rich.table import Table
from rich.text import Text

from datafacade.cli.ask import TARGET_DEFAULT, Json, Symbol, Target, ask
from datafacade.cli.output import out, print_table, table_of, write_json
from datafacade.cli.price import sources_table
from datafacade.cli.provenance import provenance_line
from datafacade.cli.text import NOTHING, clean, full, moment, span
from datafacade.cli.values import values
from datafacade.client import KlineRow, Klines

ALL: Final = "all"  # venues, reconciled
ROWS: Final = 24
ROWS_MAX: Final = 5_000


def klines(
    venue: Annotated[str, typer.Argument(help="As kraken or binance-usdm; all: reconciled over all venues.")],
    symbol: Symbol,
    interval: Annotated[str, typer.Option("--interval", "-i", help="As 1m, 5m, 1h, 4h, 1d.")] = "1h",
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=ROWS_MAX, help="Rows, the newest ones.")
    ] = ROWS,
    target: Target = TARGET_DEFAULT,
    as_json: Json = False,
) -> None:
    """Print a venue's own klines, or all venues' reconciled, and where they come from.

    Examples:
      datafacade klines kraken BTC-USD
      datafacade klines binance BTCUSDT --interval 5m --limit 100 --json
      datafacade klines all BTC-USD               # medians, and sums of volumes

    Exit codes: 0 printed, 1 no service, unknown symbol or interval, or the venue does not answer.
    """
    asked = "" if venue == ALL else venue
    found = ask(target, lambda client: client.klines(asked, symbol, interval, limit=limit))
    if as_json:
        write_json(values(found))
        return
    console = out()
    title = f"{clean(found.venue, 32) or ALL}:{clean(found.symbol, 40)}  {clean(found.interval, 8)}"
    console.print(Text.assemble((title, "bold"), (f"   {len(found.rows)} klines", "dim")))
    print_table(console, klines_table(found))
    for hole in found.holes:
        why = clean(hole.reason, 32).lower().replace("_", " ") or "not told"
        length = span(hole.ts_end - hole.ts_start)
        console.print(Text(f"nothing from {moment(hole.ts_start)} for {length}: {why}", style="yellow"))
    if not found.venue:
        print_table(console, sources_table(found.provenance.sources))
    console.print(provenance_line(found.provenance), soft_wrap=True)


def klines_table(found: Klines) -> Table:
    """Return a row for each kline."""
    table = table_of("opens (UTC)", ">open", ">high", ">low", ">close", ">volume", ">trades", ">vwap", "")
    for row in found.rows:
        rises = row.open is None or row.close is None or row.close >= row.open
        table.add_row(
            moment(row.ts_open),
            full(row.open),
            full(row.high),
            full(row.low),
            Text(full(row.close), style="green" if rises else "red"),
            full(row.volume),
            NOTHING if row.trade_count is None else f"{row.trade_count:,}",
            full(row.vwap),
            Text(_remark(row), style="yellow"),
        )
    return table


def _remark(row: KlineRow) -> str:
    """Return what limits the trust in a row."""
    is_open, is_part = not row.is_final, row.completeness == "INCOMPLETE"
    return ", ".join(["still open"] * is_open + ["a venue is missing"] * is_part)
