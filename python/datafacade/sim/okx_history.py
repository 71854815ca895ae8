"""OKX's REST paths about what was traded: trades and candles, newest first.

``after`` asks for rows older than a mark, ``before`` for newer ones. Source: venues/okx.md sections 4 and 6,
2026-08-22.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

from datafacade.sim import okx_texts as texts
from datafacade.sim.digits import trimmed
from datafacade.sim.history import Page
from datafacade.sim.intervals import HOUR_NS, MINUTE_NS, SECOND_NS, Interval, minutes
from datafacade.sim.listings import Instrument
from datafacade.sim.market import Market
from datafacade.sim.tape import Candle, Trade
from datafacade.sim.venue import Answer, Query, RestHandler, page_answer

TRADES_MAX: Final = 500
HISTORY_TRADES_MAX: Final = 100
CANDLES_MAX: Final = 300
CANDLES_RECENT: Final = 1_440  # bars that market/candles reaches back
MS_NS: Final = 1_000_000
HOUR: Final = 60
DAY: Final = 1_440
AHEAD_NS: Final = 8 * HOUR_NS  # long bars without "utc" begin at midnight of UTC+8
MINUTES: Final = {"1m": 1, "3m": 3, "5m": 5, "15m": 15, "30m": 30, "1H": HOUR, "2H": 2 * HOUR, "4H": 4 * HOUR}
LONG_MINUTES: Final = {
    "6H": 6 * HOUR,
    "12H": 12 * HOUR,
    "1D": DAY,
    "2D": 2 * DAY,
    "3D": 3 * DAY,
    "5D": 5 * DAY,
    "1W": 7 * DAY,
}
INTERVALS: Final = {
    "1s": Interval(SECOND_NS),
    **{name: minutes(count) for name, count in MINUTES.items()},
    **{f"{name}utc": minutes(count) for name, count in LONG_MINUTES.items()},
    **{name: Interval(count * MINUTE_NS, 0, AHEAD_NS) for name, count in LONG_MINUTES.items()},
    "1Mutc": Interval(0, months=1),
    "3Mutc": Interval(0, months=3),
    "1M": Interval(0, 1, AHEAD_NS),
    "3M": Interval(0, 3, AHEAD_NS),
}
FOR_EVER: Final = 1 << 62
HEAD: Final = '{"code":"0","msg":"","data":['
TAIL: Final = "]}"


class OkxHistory:
    """Trades and candles of all instruments."""

    def __init__(self, markets: Mapping[str, Market]) -> None:
        self._markets = markets

    def routes(self, root: str) -> Mapping[str, RestHandler]:
        """Return the handlers by path."""
        return {
            f"{root}/market/trades": self._trades,
            f"{root}/market/history-trades": self._history_trades,
            f"{root}/market/candles": lambda query: self._candles(query, CANDLES_RECENT),
            f"{root}/market/history-candles": lambda query: self._candles(query, 0),
        }

    def _trades(self, query: Query) -> Answer:
        market = self._markets.get(query.get("instId", ""))
        if market is None:
            return missing()
        return _rows(market, market.tape.newest(_limit(query, TRADES_MAX)))

    def _history_trades(self, query: Query) -> Answer:
        market = self._markets.get(query.get("instId", ""))
        if market is None:
            return missing()
        is_by_time = query.get("type", "1") == "2"
        after, before = query.get("after", ""), query.get("before", "")
        if (after and not after.isdigit()) or (before and not before.isdigit()):
            return error("51000", "Parameter after error", 400)
        older = int(after) if after else FOR_EVER
        newer = int(before) if before else -1
        if is_by_time:
            found = market.tape.between((newer + 1) * MS_NS, older * MS_NS - 1 if after else None)
        else:
            found = [t for t in market.tape.before_id(older, len(market.trades)) if t.trade_id > newer]
        return _rows(market, list(found)[-_limit(query, HISTORY_TRADES_MAX) :])

    def _candles(self, query: Query, reach: int) -> Answer:
        """Answer with the newest bars of a range, none older than the newest ``reach`` (0: all)."""
        market = self._markets.get(query.get("instId", ""))
        if market is None:
            return missing()
        interval = INTERVALS.get(query.get("bar", "1m"))
        if interval is None:
            return error("51000", "Parameter bar error", 400)
        after, before = query.get("after", ""), query.get("before", "")
        if (after and not after.isdigit()) or (before and not before.isdigit()):
            return error("51000", "Parameter after error", 400)
        now = time.time_ns()
        first = (int(before) + 1) * MS_NS if before else 0
        page = Page(
            interval=interval,
            first_ns=max(first, interval.back(interval.begin(now), reach - 1)) if reach else first,
            last_ns=min(int(after) * MS_NS - 1, now) if after else now,
            count=_limit(query, CANDLES_MAX),
        )
        return page_answer(HEAD, market.history.rows(page, now, candle_row)[::-1], TAIL)


def candle_row(listed: Instrument, candle: Candle, is_closed: bool) -> str:
    """Return ``[ts, o, h, l, c, vol, volCcy, volCcyQuote, confirm]`` of a spot instrument."""
    notional = trimmed(candle.notional, listed.price_scale + listed.quantity_scale)
    prices = (candle.open, candle.high, candle.low, candle.close)
    told = '","'.join([trimmed(price, listed.price_scale) for price in prices])
    volume = trimmed(candle.volume, listed.quantity_scale)
    confirm = "1" if is_closed else "0"
    return f'["{candle.open_ns // MS_NS}","{told}","{volume}","{notional}","{notional}","{confirm}"]'


def _rows(market: Market, trades: list[Trade]) -> Answer:
    listed = market.instrument
    return data(
        [
            {
                "instId": listed.venue_symbol,
                "side": trade.taker,
                "sz": trimmed(trade.quantity, listed.quantity_scale),
                "px": trimmed(trade.price, listed.price_scale),
                "source": "0",
                "tradeId": str(trade.trade_id),
                "ts": str(trade.ts_event // MS_NS),
            }
            for trade in reversed(trades)
        ]
    )


def _limit(query: Query, most: int) -> int:
    text = query.get("limit", "100")
    return min(int(text), most) if text.isdigit() and int(text) else min(100, most)


def data(rows: object) -> Answer:
    """Return an answer in the venue's envelope."""
    return Answer(body=texts.dump({"code": "0", "msg": "", "data": rows}))


def error(code: str, message: str, status: int) -> Answer:
    """Return a refusal in the venue's envelope."""
    return Answer(body=texts.dump({"code": code, "msg": message, "data": []}), status=status)


def missing() -> Answer:
    """Return error 51001, which comes with HTTP 200."""
    return error("51001", "Instrument ID does not exist", 200)
