"""``datafacade replay``: what a recorded session says, proven by the same machine as live data."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from datafacade.cli.ask import Json
from datafacade.cli.failure import UsageError
from datafacade.cli.output import out, table_of, warn, write_json
from datafacade.cli.text import clean


def replay(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A capture, NAME.dfcap.zst.")],
    as_json: Json = False,
    checkpoint_every: Annotated[
        int, typer.Option(min=0, help="Describe each book after every N applied updates; 0: never.")
    ] = 0,
    klines: Annotated[
        list[str] | None,
        typer.Option(
            metavar="INTERVAL",
            help="Make klines of the trades, as 1m, 5s, 1h or 100t (by trades); may be given several times.",
        ),
    ] = None,
) -> None:
    """Replay a capture and say what came of it: books, proofs, trades, klines.

    The same capture gives the same answer on any machine: all times come from the file.

    Examples:
      datafacade replay session.dfcap.zst
      datafacade replay session.dfcap.zst --json --checkpoint-every 1000
      datafacade replay session.dfcap.zst --json --klines 1m

    Klines: the complete ones only, each as open (ms), open, high, low, close, volume, quote volume, trades
    and the volume that takers bought. Of several intervals each name tells its own: binance:BTC-USDT/5m.

    Exit codes: 0 replayed (a cut file too, with a warning), 2 it is no capture or cannot be replayed.
    """
    from datafacade.hot.capture import NotACapture  # late: the other verbs start without the core
    from datafacade.hot.replay import ReplayError, replay_file

    try:
        report, is_cut = replay_file(file, checkpoint_every=checkpoint_every, klines=klines or [])
    except (NotACapture, ReplayError) as error:
        raise UsageError(str(error)) from None
    if is_cut:
        warn(f"{file}: the file is cut; replayed to its last whole record")
    if as_json:
        write_json(report)
        return
    console = out()
    console.print(f"{report['frames']:,} frames, {report['errors']:,} of them could not be decoded")
    console.print(_books(report["books"]))
    if report["trades"]:
        console.print(_trades(report["trades"]))
    if report.get("klines"):
        console.print(_klines(report["klines"]))


def _books(books: Mapping[str, Mapping[str, Any]]) -> Table:
    table = table_of(
        *("book", "state", "proven by", "best bid", "best ask"),
        *(">levels", ">updates", ">proofs", ">failed", ">gaps", ">resyncs"),
    )
    for key, book in books.items():
        proofs = book["proofs"]
        is_live = book["state"] == "LIVE"
        failed = Text(f"{proofs['failed']:,}", style="bold red" if proofs["failed"] else "green")
        table.add_row(
            Text(clean(key), style="bold"),
            Text(book["state"], style="green" if is_live else "yellow"),
            Text(clean(str(book.get("integrity", ""))).lower().replace("_", " ")),
            *[Text(" x ".join(level) if level else "-") for level in (book["best_bid"], book["best_ask"])],
            f"{book['bids']:,} + {book['asks']:,}",
            f"{book['updates']:,}",
            f"{proofs['checked']:,}",
            failed,
            f"{book['gaps']:,}",
            f"{book['resyncs']:,}",
        )
    return table


def _trades(trades: Mapping[str, Mapping[str, Any]]) -> Table:
    table = table_of("trades of", ">count", ">quantity", ">vwap", ">missing ids")
    for key, tally in trades.items():
        missing = "-" if tally["id_gaps"] is None else f"{tally['id_gaps']:,}"
        table.add_row(
            Text(clean(key), style="bold"), f"{tally['count']:,}", tally["quantity"], tally["vwap"], missing
        )
    return table


def _klines(klines: Mapping[str, list[list[Any]]]) -> Table:
    table = table_of(
        "complete klines of", ">opens (UTC)", ">open", ">high", ">low", ">close", ">volume", ">trades"
    )
    for key, rows in klines.items():
        for open_ms, *prices, volume, _, count, _ in rows:
            opens = datetime.fromtimestamp(open_ms / 1000, UTC)
            table.add_row(Text(clean(key)), f"{opens:%Y-%m-%d %H:%M:%S}", *prices, volume, f"{count:,}")
    return table
