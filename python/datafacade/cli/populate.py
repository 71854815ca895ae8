"""``datafacade populate_cache``: fetch klines of many symbols before somebody asks for them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import product
from typing import Annotated, Any, Final, NamedTuple

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from datafacade.cli.ask import TARGET_DEFAULT, Json, Target, ask
from datafacade.cli.failure import FAILED, UsageError
from datafacade.cli.output import err, out, print_table, table_of, write_json
from datafacade.cli.pairs import usual_pairs
from datafacade.cli.text import clean
from datafacade.client import Client, ClientError

TIMEFRAMES: Final = ("1m", "5m", "1h", "1d")
AT_ONCE: Final = 4  # questions under way: clients that wait come first anyway
ROWS: Final = 500
ROWS_MAX: Final = 5_000


class Item(NamedTuple):
    """One question, and what became of it."""

    venue: str
    symbol: str
    timeframe: str
    outcome: str = ""  # fetched, held, failed
    rows: int = 0
    message: str = ""  # why it failed; remote text


def populate_cache(
    symbols: Annotated[
        list[str] | None,
        typer.Option("--symbols", "-s", help="As BTC-USD,ETH-USD; repeatable. Well-known pairs by default."),
    ] = None,
    timeframes: Annotated[
        list[str] | None,
        typer.Option("--timeframes", "-i", help="As 1m,1h; repeatable. 1m, 5m, 1h, 1d by default."),
    ] = None,
    venues: Annotated[
        list[str] | None, typer.Option("--venue", "-v", help="Repeatable; all of the service by default.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=ROWS_MAX, help="Rows of each.")] = ROWS,
    target: Target = TARGET_DEFAULT,
    as_json: Json = False,
) -> None:
    """Fill the service's cache with klines of symbols and timeframes.

    Asks a running service for each venue, symbol and timeframe: what it does not hold yet it fetches inside
    the venue's budget. An answer is held as long as its cache class allows, so fill it shortly before use.

    Examples:
      datafacade populate_cache
      datafacade populate_cache -v kraken -s BTC-USD,ETH-USD -i 1m,1h
      datafacade populate_cache --symbols BTCUSDT --timeframes 1h --json

    Exit codes: 0 all are held now, 1 no service answers, or some could not be fetched (each is told).
    """
    chosen = words_of(timeframes or TIMEFRAMES)
    wanted = words_of(symbols or ())
    if not chosen or (symbols and not wanted):
        raise UsageError("--symbols and --timeframes: expected names with commas between them")

    async def fill(client: Client) -> list[Item]:
        known = [row.venue for row in (await client.health(summary_only=True)).venues]
        items = items_of(venues or known, wanted, chosen)
        columns = (TextColumn("populate_cache"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=err(), disable=as_json) as progress:
            task = progress.add_task("", total=len(items))
            return await filled(client, items, limit, tell=lambda: progress.advance(task))

    done = ask(target, fill)
    if as_json:
        write_json(as_values(done))
    else:
        _show(done)
    if any(item.outcome == "failed" for item in done):
        raise typer.Exit(FAILED)


def words_of(texts: Sequence[str]) -> list[str]:
    """Return the names between commas, each once, in their order.

    Example:
        >>> words_of(["1m, 5m", "1h,1m"])
        ['1m', '5m', '1h']
    """
    return list(dict.fromkeys(word for text in texts for part in text.split(",") if (word := part.strip())))


def items_of(venues: Sequence[str], symbols: Sequence[str], timeframes: Sequence[str]) -> list[Item]:
    """Return what is to be asked; without symbols each venue's well-known pairs."""
    pairs = [(name, symbols) for name in venues] if symbols else usual_pairs(venues)
    return [
        Item(venue, symbol, timeframe)
        for venue, its_symbols in pairs
        for symbol, timeframe in product(its_symbols, timeframes)
    ]


async def filled(
    client: Client, items: Sequence[Item], limit: int, *, tell: Callable[[], None]
) -> list[Item]:
    """Ask for each item, some at once; call ``tell`` as each is done."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(item: Item) -> Item:
        async with gate:
            done = await _fetched(client, item, limit)
        tell()
        return done

    return list(await asyncio.gather(*(one(item) for item in items)))


async def _fetched(client: Client, item: Item, limit: int) -> Item:
    try:
        found = await client.klines(item.venue, item.symbol, item.timeframe, limit=limit)
    except ClientError as error:
        return item._replace(outcome="failed", message=f"{error.reason or error.code}: {error}")
    outcome = "fetched" if found.provenance.cache_tier == "MISS" else "held"
    return item._replace(symbol=found.symbol, outcome=outcome, rows=len(found.rows))


def as_values(done: Sequence[Item]) -> dict[str, Any]:
    """Return what was done, for programs."""
    counts = Counter(item.outcome for item in done)
    return {
        "asked": len(done),
        **{name: counts[name] for name in ("fetched", "held", "failed")},
        "rows": sum(item.rows for item in done),
        "items": [item._asdict() for item in done],
    }


def _show(done: Sequence[Item]) -> None:
    table = table_of("venue", "symbol", "timeframe", "", ">rows")
    table.add_column("")
    for item in done:
        table.add_row(
            Text(clean(item.venue, 32), style="bold"),
            Text(clean(item.symbol, 40)),
            Text(clean(item.timeframe, 8)),
            Text(item.outcome, style="red" if item.outcome == "failed" else "green"),
            f"{item.rows:,}",
            Text(clean(item.message)),
        )
    console = out()
    print_table(console, table)
    told = as_values(done)
    fates = f"{told['fetched']} fetched, {told['held']} held already, {told['failed']} failed"
    console.print(f"{told['asked']} asked: {fates}")
