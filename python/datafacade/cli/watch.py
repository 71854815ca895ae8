"""``datafacade watch``: books and trades of a running service as they change."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from datafacade.cli.ask import TARGET_DEFAULT, Json, ask
from datafacade.cli.failure import UsageError
from datafacade.cli.output import out, remark, write_json
from datafacade.cli.pairs import usual_pairs
from datafacade.cli.picture import COLUMNS, export_svg
from datafacade.cli.screen import Screen
from datafacade.cli.tally import Tally
from datafacade.client import Client, Subscription

CHANNELS = ("book", "trades", "top")
SVG_SECONDS = 10.0


def watch(
    target: Annotated[
        str, typer.Argument(envvar="DATAFACADE_TARGET", help="The service, host:port.")
    ] = TARGET_DEFAULT,
    venues: Annotated[
        list[str] | None, typer.Option("--venue", "-v", help="Repeatable; all streaming venues by default.")
    ] = None,
    symbols: Annotated[
        list[str] | None,
        typer.Option("--symbol", "-s", help="Any spelling, repeatable; well-known pairs by default."),
    ] = None,
    seconds: Annotated[float | None, typer.Option(min=0.1, help="How long; else until Ctrl-C.")] = None,
    allow_unverified: Annotated[
        bool, typer.Option("--allow-unverified", help="Show books without proof too.")
    ] = False,
    svg: Annotated[
        Path | None, typer.Option("--export-svg", metavar="FILE", help="Write the last picture as an SVG.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Watch live books, trades, proofs and latency.

    Examples:
      datafacade watch                      # what the local service streams
      datafacade watch -v kraken -s BTC-USD -s ETH-USD
      datafacade watch --seconds 10 --export-svg watch.svg
      datafacade watch --seconds 10 --json

    Exit codes: 0 time over or Ctrl-C, 1 no service answers or nothing of what was asked for exists.
    """
    if as_json and seconds is None:
        raise UsageError("--json needs --seconds: figures are printed when the time is over")
    if svg is not None and seconds is None:
        seconds = SVG_SECONDS

    async def look(client: Client) -> Screen:
        async with await follow(client, venues or [], symbols or [], allow_unverified) as subscription:
            screen = Screen(subscription, title="datafacade watch", target=target, client=client)
            await screen.run(None if as_json else out(), seconds=seconds)
            if svg is not None:
                export_svg(screen.picture(COLUMNS), svg, title=f"datafacade watch {target}")
            return screen

    screen = ask(target, look)
    if svg is not None:
        remark(f"picture written to {svg}")
    if as_json:
        write_json(summary(screen.tally))


async def follow(
    client: Client, venues: Sequence[str], symbols: Sequence[str], allow_unverified: bool
) -> Subscription:
    """Subscribe what is to be seen: each venue's well-known pairs if no symbol is named.

    Raises:
        ClientError: The service is not there.
    """
    if symbols:
        return client.subscribe(venues, symbols, CHANNELS, allow_unverified=allow_unverified)
    names = venues or [row.venue for row in (await client.health(summary_only=True)).venues]
    if not names:
        raise UsageError("the service streams no venue: name some in hot.venues of its service.yaml")
    (first, its_symbols), *others = usual_pairs(names)
    subscription = client.subscribe(first, its_symbols, CHANNELS, allow_unverified=allow_unverified)
    for name, its_symbols in others:
        subscription.add(name, its_symbols, CHANNELS, allow_unverified=allow_unverified)
    return subscription


def summary(tally: Tally) -> dict[str, Any]:
    """Return what was seen, for programs; prices are exact decimal texts."""
    return {
        "books": {
            f"{row.venue}:{row.symbol}": {
                "state": row.state,
                "integrity": row.integrity,
                "best_bid": None if row.bid is None else f"{row.bid:f}",
                "best_ask": None if row.ask is None else f"{row.ask:f}",
                "spread_bps": row.spread_bps,
                "last_price": None if row.last_price is None else f"{row.last_price:f}",
                "trades": row.trades,
                "updates": row.updates,
                "gaps": row.gaps,
                "proofs": {"checked": row.proofs_checked, "failed": row.proofs_failed},
                "latency_us": dict(zip(("p50", "p99"), (ns // 1_000 for ns in row.latency()), strict=True)),
            }
            for _, row in sorted(tally.rows.items())
        }
    }
