"""``datafacade ticker``: a venue's statistics of 24 hours of any instrument, and where they come from."""

from __future__ import annotations

from typing import Final

from rich.table import Table
from rich.text import Text

from datafacade.cli.ask import TARGET_DEFAULT, Json, Symbol, Target, Venue, ask
from datafacade.cli.output import out, print_table, table_of, write_json
from datafacade.cli.provenance import provenance_line
from datafacade.cli.text import NOTHING, clean, full, moment
from datafacade.cli.values import values
from datafacade.client import Ticker

FIGURES: Final = (  # what people read: our name, and the fields of price and quantity
    ("last", "last_price", "last_quantity"),
    ("bid", "bid_price", "bid_quantity"),
    ("ask", "ask_price", "ask_quantity"),
    ("open 24 h", "open_24h", ""),
    ("high 24 h", "high_24h", ""),
    ("low 24 h", "low_24h", ""),
    ("vwap 24 h", "vwap_24h", ""),
    ("volume 24 h", "", "volume_24h"),
    ("quote volume 24 h", "", "quote_volume_24h"),
)


def ticker(venue: Venue, symbol: Symbol, target: Target = TARGET_DEFAULT, as_json: Json = False) -> None:
    """Print a venue's best prices and its statistics of 24 hours, and where they come from.

    Examples:
      datafacade ticker kraken BTC-USD
      datafacade ticker coinbase ETH-USD --json

    Exit codes: 0 printed, 1 no service, unknown symbol, or the venue does not answer.
    """
    found = ask(target, lambda client: client.ticker(venue, symbol))
    if as_json:
        told = values(found)
        times = {"ts_event": found.ticker.stamp.ts_event, "ts_recv": found.ticker.stamp.ts_recv}
        figures = {name: value for name, value in told["ticker"].items() if name != "stamp"}
        write_json(figures | times | {"provenance": told["provenance"]})
        return
    console = out()
    one = found.ticker
    title = f"{clean(one.venue, 32)}:{clean(one.symbol, 40)}"
    when = moment(one.stamp.ts_event or one.stamp.ts_recv, has_millis=True)
    console.print(Text.assemble((title, "bold"), (f"   as of {when} UTC", "dim")))
    print_table(console, ticker_table(one))
    console.print(provenance_line(found.provenance), soft_wrap=True)


def ticker_table(one: Ticker) -> Table:
    """Return a row for each figure that the venue gave."""
    table = table_of("", ">price", ">quantity")
    for name, price, quantity in FIGURES:
        cells = [full(getattr(one, field)) if field else "" for field in (price, quantity)]
        if set(cells) - {"", NOTHING}:
            table.add_row(name, *cells)
    if one.change_percent_24h is not None:
        table.add_row("change 24 h", f"{one.change_percent_24h:+f} %", "")
    if one.trade_count_24h is not None:
        table.add_row("trades 24 h", "", f"{one.trade_count_24h:,}")
    return table
