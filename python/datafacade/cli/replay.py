"""``datafacade replay``: what a recorded session says, proven by the same machine as live data."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from datafacade.hot.capture import NotACapture
from datafacade.hot.replay import ReplayError, replay_file


def replay(
    file: Annotated[Path, typer.Argument(help="A capture (NAME.dfcap.zst).")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    checkpoint_every: Annotated[
        int, typer.Option(min=0, help="Describe each book after every N applied updates; 0: never.")
    ] = 0,
) -> None:
    """Replay a capture and say what came of it: books, proofs, trades.

    Examples:

        datafacade replay session.dfcap.zst

        datafacade replay session.dfcap.zst --json --checkpoint-every 1000

    Exit codes: 0 replayed (a cut file too, with a warning), 2 the file is no capture or cannot be replayed.
    """
    try:
        report, is_cut = replay_file(file, checkpoint_every=checkpoint_every)
    except OSError as error:
        typer.echo(f"datafacade: {file}: {(error.strerror or str(error)).lower()}", err=True)
        raise typer.Exit(2) from None
    except (NotACapture, ReplayError) as error:
        typer.echo(f"datafacade: {error}", err=True)
        raise typer.Exit(2) from None
    if is_cut:
        typer.echo(f"datafacade: {file}: the file is cut; replayed to its last whole record", err=True)
    if as_json:
        typer.echo(json.dumps(report))
    else:
        show(report)


def show(report: dict[str, Any]) -> None:
    """Print the report for people."""
    console = Console()
    console.print(f"{report['frames']} frames, {report['errors']} undecodable")
    books = Table(title="books", title_justify="left")
    for name in ("book", "state", "integrity", "updates", "gaps", "resyncs", "proofs", "best bid", "best ask", "levels"):
        books.add_column(name)
    for key, book in report["books"].items():
        proofs = f"{book['proofs']['checked']} ({book['proofs']['failed']} failed)"
        best = [" x ".join(level) if level else "-" for level in (book["best_bid"], book["best_ask"])]
        counts = [str(book[name]) for name in ("updates", "gaps", "resyncs")]
        levels = f"{book['bids']} / {book['asks']}"
        books.add_row(key, book["state"], book["integrity"], *counts, proofs, *best, levels)
    trades = Table(title="trades", title_justify="left")
    for name in ("instrument", "count", "quantity", "vwap", "missing ids"):
        trades.add_column(name)
    for key, tally in report["trades"].items():
        missing = "-" if tally["id_gaps"] is None else str(tally["id_gaps"])
        trades.add_row(key, str(tally["count"]), tally["quantity"], tally["vwap"], missing)
    console.print(books, trades)
