"""``datafacade probe data``: what the service knows of one venue and pair, tried out before your eyes."""

from __future__ import annotations

import time
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.text import Text

from datafacade.cli.ask import TARGET_DEFAULT, Json, Target, ask
from datafacade.cli.failure import FAILED
from datafacade.cli.output import out, print_table, remark, write_json
from datafacade.cli.panels import Status, cache_table, sources_table, status_of, venues_table
from datafacade.cli.probe.fetch import Part, fetch, fetch_table
from datafacade.cli.probe.fetch import as_values as fetch_values
from datafacade.cli.provenance import provenance_line
from datafacade.cli.text import clean
from datafacade.client import Book, Client, Klines

MINUTES: Final = 5.0
STATUS_S: Final = 30.0
CHANNELS: Final = ("trades", "book")


def data(
    venue: Annotated[str, typer.Option("--venue", "-v", help="As kraken or binance-usdm.")],
    pair: Annotated[str, typer.Option("--pair", "-p", help="Any spelling: BTC-USD, BTCUSD, XBT/USD.")],
    mins: Annotated[
        float,
        typer.Option(
            "--mins", min=0.01, help="How long to stream; else how far back trades count as recent."
        ),
    ] = MINUTES,
    stream: Annotated[bool, typer.Option("--stream", help="Show live trades, books and spread.")] = False,
    status_s: Annotated[
        float, typer.Option("--status-s", min=0.1, help="With --stream: seconds from status to status.")
    ] = STATUS_S,
    target: Target = TARGET_DEFAULT,
    as_json: Json = False,
) -> None:
    """Try out what a running service knows of one venue and pair.

    Without --stream: how the venues and the cache are, 24 klines of 1 h, 10 trades and the book with its
    spread, the VADR analysis, and who gave what. With --stream: a line for each trade, the book at most once
    a second, a status every 30 s, and a summary at the end or at Ctrl-C.

    Examples:
      datafacade probe data --venue kraken --pair BTCUSD --mins 5
      datafacade probe data --venue kraken --pair BTCUSD --stream --mins 10

    Exit codes: 0 all was answered, time over or Ctrl-C, 1 no service, unknown symbol, or a test failed.
    """
    if stream:
        _stream(venue, pair, seconds=mins * 60, status_s=status_s, target=target, as_json=as_json)
        return

    async def question(client: Client) -> tuple[tuple[Part, ...], Status]:
        parts = await fetch(client, venue, pair)
        return parts, await status_of(client)

    parts, status = ask(target, question)
    if as_json:
        write_json(_values(venue, parts, status))
    else:
        _show(out(), venue, pair, parts, status, minutes=mins)
    if any(part.error is not None for part in parts):
        raise typer.Exit(FAILED)


def _show(
    console: Console, venue: str, pair: str, parts: tuple[Part, ...], status: Status, *, minutes: float
) -> None:
    from datafacade.cli.probe.analysis import analyse, lines  # late: Polars takes a moment

    console.print(Text(f"probe of {clean(venue, 32)}:{clean(pair, 40)}", style="bold"))
    console.print("\nVenues", style="bold")
    print_table(console, venues_table(status.health))
    console.print("Cache", style="bold")
    print_table(console, cache_table(status.cache))
    console.print("Data fetch test", style="bold")
    console.print(fetch_table(parts, minutes=minutes, now=time.time_ns()))
    klines, book = parts[0].found, parts[-1].found
    console.print("VADR analysis", style="bold")
    if isinstance(klines, Klines):
        spread = book.spread_bps if isinstance(book, Book) else None
        for line in lines(analyse(klines), spread):
            console.print(Text.assemble("  ", line), soft_wrap=True)
    else:
        console.print("  no klines, no analysis")
    console.print("\nAttribution", style="bold")
    print_table(console, sources_table(row for row in status.sources if row.venue == venue))
    for part in parts:
        if part.provenance is not None:
            console.print(Text.assemble(f"  {part.name}: ", provenance_line(part.provenance)), soft_wrap=True)


def _values(venue: str, parts: tuple[Part, ...], status: Status) -> dict[str, Any]:
    from datafacade.cli.probe import analysis  # late: Polars takes a moment

    klines = parts[0].found
    found = analysis.as_values(analysis.analyse(klines)) if isinstance(klines, Klines) else None
    told = status.values()
    sources = [row for row in told["sources"] if row["venue"] == venue]
    return {
        "venues": told["health"]["venues"],
        "aggregators": told["health"]["aggregators"],
        "cache": told["cache"],
        "fetch": fetch_values(parts),
        "vadr": found,
        "attribution": sources,
    }


def _stream(venue: str, pair: str, *, seconds: float, status_s: float, target: str, as_json: bool) -> None:
    from datafacade.cli.probe.stream import StreamLog, listen  # late: as the analysis

    log, console = StreamLog(), out()

    def write(line: Text) -> None:
        if not as_json:
            console.print(line, soft_wrap=True)

    async def follow(client: Client) -> float:
        async with client.subscribe(venue, pair, CHANNELS, allow_unverified=True) as subscription:
            return await listen(subscription, log, write, seconds=seconds, every_s=status_s)

    if not as_json:
        remark(f"streaming {clean(venue, 32)}:{clean(pair, 40)} for {seconds / 60:g} min; Ctrl-C ends it")
    elapsed_s = ask(target, follow)
    if as_json:
        write_json(log.summary(elapsed_s))
        return
    console.print(Text("SUMMARY", style="bold"))
    console.print(log.status(elapsed_s))
