"""``datafacade record``: write down what the venues send, byte for byte."""

from __future__ import annotations

import asyncio
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from datafacade.cli.ask import Json
from datafacade.cli.failure import UsageError
from datafacade.cli.output import remark, write_json
from datafacade.cli.pairs import usual_pairs
from datafacade.cli.serve import ConfigDir
from datafacade.client.topic import channel_of

if TYPE_CHECKING:
    from datafacade.config import Config
    from datafacade.types import Channel


def record(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="NAME.dfcap.zst, a new file.")],
    config: ConfigDir = None,
    venues: Annotated[
        list[str] | None, typer.Option("--venue", "-v", help="Repeatable; all streaming venues by default.")
    ] = None,
    symbols: Annotated[
        list[str] | None, typer.Option("--symbol", "-s", help="Repeatable; well-known pairs by default.")
    ] = None,
    channels: Annotated[
        list[str] | None, typer.Option("--channel", "-c", help="book, trades, top, ticker; repeatable.")
    ] = None,
    seconds: Annotated[float | None, typer.Option(min=0.1, help="How long; else until Ctrl-C.")] = None,
    note: Annotated[str, typer.Option(help="Stands in the first line of the capture.")] = "",
    as_json: Json = False,
) -> None:
    """Record a live session into a capture that `replay` reads.

    Examples:
      datafacade record --out session.dfcap.zst --seconds 60
      datafacade record -o kraken.dfcap.zst -v kraken -s BTC-USD -c book
      datafacade replay session.dfcap.zst

    Exit codes: 0 recorded, 1 a venue or symbol cannot be had, 2 bad option, configuration or file name.
    """
    from datafacade.app import record as run  # late: the other verbs start without it
    from datafacade.config import load_config

    if not out.name.endswith(".dfcap.zst"):
        raise UsageError(f"--out: expected NAME.dfcap.zst, received {out.name}")
    settings = load_config(config)
    topics = _topics(settings, venues or [], symbols or [], channels or ["book", "trades"])

    def started() -> None:
        how_long = f"for {seconds:g} s" if seconds else "until Ctrl-C"
        remark(f"recording {len(topics)} topics to {out} {how_long}")

    asyncio.run(run(settings, out, topics=topics, seconds=seconds, note=note, started=started))
    size = out.stat().st_size
    if as_json:
        write_json({"file": str(out), "bytes": size, "topics": len(topics)})
    else:
        remark(f"{out}: {size:,} bytes; see what it says:  datafacade replay {out}")


def _topics(
    settings: Config, venues: list[str], symbols: list[str], channels: list[str]
) -> list[tuple[str, str, Channel]]:
    """Return what is to be recorded.

    Raises:
        UsageError: There is no such channel.
    """
    from datafacade.types import Channel

    try:
        wanted = [Channel[channel_of(name).name] for name in channels]
    except ValueError as error:
        raise UsageError(str(error)) from None
    names = venues or list(settings.hot_venues())
    pairs = [(name, symbols) for name in names] if symbols else usual_pairs(names)
    return [
        (venue, symbol, channel)
        for venue, spelled in pairs
        for symbol, channel in product(spelled, dict.fromkeys(wanted))
    ]
