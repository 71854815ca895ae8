"""Hold each answer against the simulator's own truth: its candles, and the trades of its log.

The service's decoders take no part: the simulator tells exact decimals on its control port and in its log,
and they are compared with the mantissas and exponents of the answer.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple

from datafacade.cli.demo.warm.keys import LIMITS, MARKETS, MINUTES, Key
from datafacade.v1 import market_pb2, warm_pb2

MINUTE_NS: Final = 60_000_000_000
S: Final = 1_000_000_000
AT_ONCE: Final = 4
SLACK_NS: Final = S  # between the last trade of an answer and the moment at which it was made

Fetch = Callable[..., Awaitable[Any]]  # path and query of the simulator's control port


class Bar(NamedTuple):
    """One true candle."""

    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


class Execution(NamedTuple):
    """One true trade."""

    number: int
    price: Decimal
    quantity: Decimal
    ts_event: int


@dataclass(frozen=True, slots=True)
class Told:
    """An answer that some clients were given, byte for byte."""

    key: Key
    message: bytes  # without ``served``
    times: int


class Verdict(NamedTuple):
    """What became of the comparison."""

    wrong: int  # answers, each as often as it was given
    compared: int  # likewise
    first: str  # what was wrong with the first


async def compare(told: Iterable[Told], fetch: Fetch, log: Path) -> Verdict:
    """Return how many answers are not what the simulator says.

    Args:
        told: All distinct answers.
        fetch: Asks the simulator's control port.
        log: Its truth log.
    """
    series: dict[tuple[str, str, str], list[Told]] = {}
    for one in told:
        series.setdefault((one.key.venue, one.key.base, one.key.interval), []).append(one)
    trades = trades_of(log)
    room = asyncio.Semaphore(AT_ONCE)
    problems: list[tuple[int, str]] = []

    async def judge(venue: str, base: str, interval: str, group: Sequence[Told]) -> None:
        market = MARKETS[venue]
        if not interval:
            rows = trades.get((market.trades_product, market.symbol(base)), [])
            found = [(one, wrong_trades(one, rows)) for one in group]
        else:
            async with room:
                bars = await _bars(fetch, market.product, market.symbol(base), interval)
            found = [(one, wrong_klines(one, bars, MINUTES[interval] * MINUTE_NS)) for one in group]
        problems.extend((one.times, f"{one.key}: {problem}") for one, problem in found if problem)

    await asyncio.gather(*(judge(*name, group) for name, group in series.items()))
    compared = sum(one.times for group in series.values() for one in group)
    return Verdict(sum(times for times, _ in problems), compared, problems[0][1] if problems else "")


async def _bars(fetch: Fetch, product: str, symbol: str, interval: str) -> dict[int, Bar]:
    """Return true candles by begin, as many as any answer holds, and those since."""
    length = MINUTES[interval]
    count = LIMITS[-1] + 2 + 10 // length
    answer = await fetch(
        "/truth/candles", product=product, venue=product, symbol=symbol, minutes=str(length), count=str(count)
    )
    return {row[0]: Bar._make([Decimal(text) for text in row[1:]]) for row in answer["candles"]}


def wrong_klines(told: Told, bars: Mapping[int, Bar], length_ns: int) -> str:
    """Return what is wrong with klines; empty: nothing.

    Rows are the newest ones of the moment at which the answer was made, each once, oldest first. Closed ones
    equal the truth; an open one is the beginning of what became of it. Only where nothing was traded a row
    may be missing.
    """
    answer = warm_pb2.WarmKlinesResponse.FromString(told.message)
    problem = _wrong_name(told.key, answer.venue, answer.symbol) or (
        f"interval {answer.interval}" if answer.interval != told.key.interval else ""
    )
    if problem:
        return problem
    opens = [kline.ts_open for kline in answer.klines]
    if opens != sorted(set(opens)):
        return "rows are out of order"
    made, began = answer.lineage.ts_made, answer.lineage.ts_made - answer.lineage.latency_ns - SLACK_NS
    newest = {at - at % length_ns for at in (made, began)}
    problems = [_wrong_range(opens, one, told.key.limit, length_ns, bars) for one in newest]
    if all(problems):
        return problems[0]
    for kline in answer.klines:
        problem = _wrong_bar(kline, bars[kline.ts_open], answer.price_exponent)
        if problem:
            return f"row {kline.ts_open}: {problem}"
    return ""


def _wrong_range(
    opens: Sequence[int], newest: int, limit: int, length_ns: int, bars: Mapping[int, Bar]
) -> str:
    wanted = range(newest - (limit - 1) * length_ns, newest + 1, length_ns)
    if not set(opens) <= set(wanted):
        return f"rows of other times: {sorted(set(opens) - set(wanted))[0]}"
    for at in wanted[:-1]:  # in the open one nothing may have been traded yet
        if at not in bars:
            return f"the truth does not reach back to {at}"
        if at not in opens and bars[at].volume:
            return f"row {at} is missing"
    return "" if newest in bars else f"the truth does not hold {newest}"


def _wrong_bar(kline: market_pb2.Kline, bar: Bar, exponent: int) -> str:
    volume = Decimal(kline.volume or "0")
    if not kline.HasField("open"):
        return "has no prices" if bar.volume and kline.state != market_pb2.KLINE_STATE_PROVISIONAL else ""
    prices = [Decimal(part).scaleb(exponent) for part in (kline.open, kline.high, kline.low, kline.close)]
    mine = Bar._make([*prices, volume])
    if kline.state == market_pb2.KLINE_STATE_PROVISIONAL:
        is_part = mine.high <= bar.high and mine.low >= bar.low and volume <= bar.volume
        return "" if is_part and (mine.open == bar.open or not volume) else f"{mine} began no {bar}"
    return "" if mine == bar else f"{mine} is not {bar}"


def wrong_trades(told: Told, rows: Sequence[Execution]) -> str:
    """Return what is wrong with trades; empty: nothing. They are a gapless piece of the truth, the newest."""
    answer = warm_pb2.WarmTradesResponse.FromString(told.message)
    problem = _wrong_name(told.key, answer.venue, answer.symbol)
    if problem:
        return problem
    mine = [
        Execution(
            row.trade.trade_id,
            Decimal(row.trade.price).scaleb(answer.price_exponent),
            Decimal(row.trade.quantity).scaleb(answer.quantity_exponent),
            row.ts_event,
        )
        for row in answer.trades
    ]
    began = answer.lineage.ts_made - answer.lineage.latency_ns - SLACK_NS
    due = [row.number for row in rows if row.ts_event <= began]
    if len(mine) != told.key.limit or (due and mine[-1].number < due[-1]):
        return f"{len(mine)} rows up to {mine[-1].number if mine else None}, {due[-1:]} was traded before"
    first = {row.number: place for place, row in enumerate(rows)}
    logged = [one for one in mine if one.number >= rows[0].number]  # the log begins behind the warm-up
    begin = first.get(logged[0].number) if logged else 0
    if begin is None or any(
        _rounded(one) != _rounded(row) for one, row in zip(logged, rows[begin:], strict=False)
    ):
        return f"trades from {logged[0].number} are not those of the log"
    return ""


def _rounded(row: Execution) -> Execution:
    """Return a trade with its time in milliseconds, the least that venues tell."""
    return row._replace(ts_event=row.ts_event // 1_000_000)


def _wrong_name(key: Key, venue: str, symbol: str) -> str:
    return "" if (venue, symbol) == (key.venue, key.symbol) else f"is of {venue} {symbol}"


def trades_of(log: Path) -> dict[tuple[str, str], list[Execution]]:
    """Return the trades that a truth log tells, by product and the venue's symbol."""
    found: dict[tuple[str, str], list[Execution]] = {}
    for record in records(log, "trades"):
        name = (f"{record['venue']}/{record['product']}", record["symbol"])
        found.setdefault(name, []).extend(
            Execution(int(number), Decimal(price), Decimal(quantity), ts_event)
            for number, price, quantity, _, ts_event, *_ in record["rows"]
        )
    return found


def records(log: Path, kind: str) -> Iterable[dict[str, Any]]:
    """Yield the records of one type; the last line may not be whole yet."""
    sign = f'"type":"{kind}"'
    with log.open(encoding="utf-8") as lines:
        for line in lines:
            if sign in line.replace(" ", "")[:200] and line.endswith("\n"):
                yield json.loads(line)
