"""``datafacade book``: one book with its proof."""

from __future__ import annotations

from decimal import Decimal
from itertools import zip_longest
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from datafacade.cli.ask import TARGET_DEFAULT, Json, Target, ask
from datafacade.cli.output import out, table_of, write_json
from datafacade.cli.provenance import provenance_line
from datafacade.cli.text import clean, grouped
from datafacade.cli.values import values
from datafacade.client import Book, Level

BAR_WIDTH = 14
HALVES = "█▌"


def book(
    venue: Annotated[str, typer.Argument(help="As kraken or binance-usdm.")],
    symbol: Annotated[str, typer.Argument(help="Any spelling: BTC-USD, BTCUSDT, XBT/USD.")],
    depth: Annotated[
        int, typer.Option("--depth", "-d", min=0, help="Levels a side; 0: the whole book.")
    ] = 10,
    allow_unverified: Annotated[
        bool, typer.Option("--allow-unverified", help="Accept a book that carries no proof.")
    ] = False,
    target: Target = TARGET_DEFAULT,
    as_json: Json = False,
) -> None:
    """Print one order book and what proves it.

    A book that nobody follows yet is followed first, so that it comes live and proven. With
    --allow-unverified it is fetched from the venue's REST instead: nothing proves it, and it says so.

    Examples:
      datafacade book kraken BTC-USD
      datafacade book okx SOL-USDT --allow-unverified     # by REST
      datafacade book binance BTCUSDT --depth 50 --json

    Exit codes: 0 printed, 1 no service, unknown symbol (with near matches), book not ready or not proven.
    """
    found = ask(
        target,
        lambda client: client.get_book_l2(venue, symbol, depth=depth, allow_unverified=allow_unverified),
    )
    if as_json:
        write_json(as_values(found))
        return
    console = out()
    style = "bold green" if found.is_proven else "bold yellow"
    state = "● REST, followed by nobody" if found.is_from_rest else f"● {clean(found.state, 32)}"
    proof = clean(found.integrity, 32).lower().replace("_", " ")
    proven = "   proven by nothing" if found.is_from_rest or not proof else f"   proven by {proof}"
    spread = "" if found.spread is None else f"   spread {found.spread:f}, {found.spread_bps:.2f} bp"
    console.print(
        Text.assemble(
            (f"{clean(found.venue)}:{clean(found.symbol)}", "bold"),
            "  ",
            (state, style),
            (proven, style),
            (f"   seq {found.seq}{spread}", "dim"),
        )
    )
    console.print(book_table(found))
    if found.provenance is not None:
        console.print(provenance_line(found.provenance), soft_wrap=True)


def as_values(found: Book) -> dict[str, Any]:
    """Return a book for programs; prices and quantities are exact decimal texts."""

    def levels(side: list[Level]) -> list[list[str]]:
        return [[f"{level.price:f}", f"{level.quantity:f}"] for level in side]

    stamp, proof = found.stamp, found.proof
    return {
        "venue": found.venue,
        "symbol": found.symbol,
        "state": found.state,
        "integrity": found.integrity,
        "epoch": stamp.epoch,
        "seq": stamp.seq,
        "venue_sequence": stamp.venue_sequence,
        "ts_event": stamp.ts_event,
        "ts_recv": stamp.ts_recv,
        "proof": {"seq": proof.seq, "levels": proof.levels, "venue_sequence": proof.venue_sequence},
        "spread": None if found.spread is None else f"{found.spread:f}",
        "spread_bps": found.spread_bps,
        "is_from_rest": found.is_from_rest,
        "provenance": values(found.provenance),
        "bids": levels(found.bids),
        "asks": levels(found.asks),
    }


def book_table(found: Book) -> Table:
    """Return both sides, the best levels on top, with bars that show where the quantity is."""
    largest = max((level.quantity for level in (*found.bids, *found.asks)), default=Decimal(1))
    table = table_of(">", ">quantity", ">bid", "ask", "quantity", "")
    for bid, ask_level in zip_longest(found.bids, found.asks):
        table.add_row(*reversed(_cells(bid, largest, "green")), *_cells(ask_level, largest, "red"))
    return table


def _cells(level: Level | None, largest: Decimal, style: str) -> list[Text]:
    """Return price, quantity and bar of one level of the right half."""
    if level is None:
        return [Text()] * 3
    drawn = bar(float(level.quantity / largest))
    drawn = drawn[::-1].replace("▌", "▐") if style == "green" else drawn  # bids grow to the left
    return [Text(grouped(level.price), style=style), Text(f"{level.quantity:f}"), Text(drawn, style=style)]


def bar(share: float) -> str:
    """Return a bar as long as a share from 0 to 1.

    Example:
        >>> bar(0.5)
        '███████'
    """
    halves = round(max(0.0, min(1.0, share)) * BAR_WIDTH * 2)
    return HALVES[0] * (halves // 2) + HALVES[1] * (halves % 2)
