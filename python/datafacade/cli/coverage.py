"""``datafacade coverage``: what is known of the past, what is missing, and what became of it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer
from rich.text import Text

from datafacade.cli.ask import TARGET_DEFAULT, Json, Target, ask
from datafacade.cli.failure import UsageError
from datafacade.cli.message import plain, word
from datafacade.cli.output import out, table_of, write_json
from datafacade.cli.text import clean, moment, span
from datafacade.client import Client
from datafacade.v1 import coverage_pb2

NS_PER_S: Final = 1_000_000_000
_UNITS_S: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_SPAN: Final = re.compile(r"([0-9]{1,9})([smhd])")
_STYLES: Final = {"COMPLETE": "green", "UNPROVEN": "yellow", "GAP": "bold red", "NOT_COVERED": "red"}
_MEANINGS: Final = {
    "COMPLETE": "every event",
    "UNPROVEN": "no proof that it is all",
    "GAP": "events are missing",
    "NOT_COVERED": "down, or nobody listened",
}


def coverage(
    venue: Annotated[str, typer.Option("--venue", "-v", help="As kraken or binance-usdm.")],
    pair: Annotated[str, typer.Option("--pair", "-p", help="Any spelling: BTC-USD, BTCUSDT, XBT/USD.")],
    channel: Annotated[
        str, typer.Option("--channel", "-c", help="trades, book, top, ticker or klines.")
    ] = "trades",
    variant: Annotated[str, typer.Option(help="Kline interval or book depth; the default if empty.")] = "",
    last: Annotated[str, typer.Option("--last", "-l", help="How far back: 90s, 15m, 1h, 7d.")] = "1h",
    target: Target = TARGET_DEFAULT,
    as_json: Json = False,
) -> None:
    """Print what is known of a topic's past: complete, unproven, missing or not covered.

    Examples:
      datafacade coverage --venue kraken --pair BTC-USD --last 1h   # trades
      datafacade coverage -v binance -p BTCUSDT -c book --last 7d --json

    Exit codes: 0 printed, 1 no service, unknown symbol, or a service that keeps nothing on disk.
    """
    back_ns = seconds_of(last) * NS_PER_S
    now_ns = int(datetime.now(UTC).timestamp()) * NS_PER_S

    async def question(client: Client) -> coverage_pb2.CoverageResponse:
        try:
            return await client.coverage(venue, pair, channel, variant=variant, ts_start=now_ns - back_ns)
        except ValueError as error:
            raise UsageError(str(error)) from None

    found = ask(target, question)
    if as_json:
        write_json(as_values(found))
    else:
        _show(found)


def seconds_of(text: str) -> int:
    """Return the seconds of a span like ``90s``, ``15m``, ``1h`` or ``7d``.

    Raises:
        UsageError: It is none.

    Example:
        >>> seconds_of("15m")
        900
    """
    match = _SPAN.fullmatch(text.strip().lower())
    if match is None or int(match[1]) == 0:
        raise UsageError(f"--last: expected a span like 90s, 15m, 1h or 7d, received {text[:32]!r}")
    return int(match[1]) * _UNITS_S[match[2]]


def as_values(found: coverage_pb2.CoverageResponse) -> dict[str, Any]:
    """Return an answer for programs; times are ns UTC, absent numbers are null."""
    values = plain(found) | {"channel": channel_word(found), "complete_ratio": share_of(found, "COMPLETE")}
    del values["served"]
    return values


def share_of(found: coverage_pb2.CoverageResponse, state: str) -> float:
    """Return the share of the interval that is in a state, a ratio from 0 to 1."""
    lengths = [(state_of(row), row.ts_end - row.ts_start) for row in found.spans]
    whole = sum(length for _, length in lengths)
    return sum(length for told, length in lengths if told == state) / whole if whole else 0.0


def state_of(row: coverage_pb2.CoverageSpan) -> str:
    """Return the word of a span's state."""
    return str(word(coverage_pb2.CoverageState.DESCRIPTOR, row.state))


def channel_word(found: coverage_pb2.CoverageResponse) -> str:
    """Return the channel as people write it."""
    descriptor = coverage_pb2.CoverageResponse.DESCRIPTOR.fields_by_name["channel"].enum_type
    return str(word(descriptor, found.channel)).lower()


def _show(found: coverage_pb2.CoverageResponse) -> None:
    variant = f"/{clean(found.variant, 16)}" if found.variant else ""
    name = f"{clean(found.venue, 32)}:{clean(found.symbol, 40)}/{channel_word(found)}{variant}"
    console = out()
    style = "bold green" if found.is_complete else "bold yellow"
    share = f"● {share_of(found, 'COMPLETE'):.2%} complete"
    console.print(Text.assemble((name, "bold"), "   ", (share, style)))
    table = table_of("from (UTC)", "for", "", "")
    for row in found.spans:
        state = state_of(row)
        table.add_row(
            moment(row.ts_start),
            span(row.ts_end - row.ts_start),
            Text(state.lower().replace("_", " "), style=_STYLES.get(state, "")),
            Text(_MEANINGS.get(state, ""), style="dim"),
        )
    console.print(table)
    for gap in found.gaps:
        told = plain(gap)
        count = "an unknown number of" if told["count"] is None else str(told["count"])
        cause, state = (str(told[name]).lower().replace("_", " ") for name in ("cause", "state"))
        became = f"{state}, {gap.filled} came later"
        console.print(Text(f"gap {gap.gap_id} at {moment(gap.ts_first)}: {count} events, {cause}; {became}"))
