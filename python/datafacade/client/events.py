"""What a subscription yields beside books. Data; prices and quantities are exact decimals."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from datafacade.client.book import Book
from datafacade.client.stamp import Flag, Stamp
from datafacade.client.topic import Topic

LOCAL: Final = "LOCAL"  # scope of a gap that this client noticed itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """One execution."""

    venue: str
    symbol: str
    price: Decimal  # quote units
    quantity: Decimal  # base units, or contracts where the venue counts contracts
    side: str  # of the taker: BUY, SELL; "": the venue did not say
    trade_id: int | None  # the venue's number; None: it gives none
    is_off_market: bool  # insurance fund, auto-deleveraging: counts in no volume
    stamp: Stamp

    @property
    def is_backfilled(self) -> bool:
        """Whether it was fetched later, to fill a gap."""
        return bool(self.stamp.flags & Flag.BACKFILLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class TopOfBook:
    """Best bid and best ask."""

    venue: str
    symbol: str
    bid_price: Decimal | None  # quote units; None: no bids
    bid_quantity: Decimal | None  # None: no bids, or not told
    ask_price: Decimal | None  # quote units; None: no asks
    ask_quantity: Decimal | None  # None: no asks, or not told
    stamp: Stamp


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticker:
    """The last trade, the best prices and the statistics of 24 hours; None: not given."""

    venue: str
    symbol: str
    last_price: Decimal | None
    last_quantity: Decimal | None
    bid_price: Decimal | None
    bid_quantity: Decimal | None
    ask_price: Decimal | None
    ask_quantity: Decimal | None
    open_24h: Decimal | None
    high_24h: Decimal | None
    low_24h: Decimal | None
    volume_24h: Decimal | None  # base units or contracts
    quote_volume_24h: Decimal | None
    vwap_24h: Decimal | None
    change_percent_24h: Decimal | None
    trade_count_24h: int | None
    stamp: Stamp


@dataclass(frozen=True, slots=True, kw_only=True)
class Kline:
    """One bar of trades. The same bar comes again: provisional, then final, then with a higher revision."""

    venue: str
    symbol: str
    interval: str  # ``1m``; ``100t``: of 100 trades; ``5v``: of 5 base units; ``1000q``: of 1,000 quote units
    ts_open: int  # first instant in it, ns since 1970 UTC
    ts_close: int  # first instant behind it, ns since 1970 UTC; 0: not known yet
    open: Decimal | None  # quote units; None: no trade
    high: Decimal | None
    low: Decimal | None
    close: Decimal | None
    volume: Decimal | None  # base units or contracts; None: not given
    quote_volume: Decimal | None
    vwap: Decimal | None
    taker_buy_volume: Decimal | None
    trade_count: int | None
    is_final: bool  # closed; else it goes on changing
    revision: int  # how often the closed bar was issued again
    completeness: str  # COMPLETE, INCOMPLETE (a gap touches it), UNKNOWN (the venue gives no proof)
    stamp: Stamp

    @property
    def is_complete(self) -> bool:
        """Whether it is closed and holds every trade of its interval."""
        return self.is_final and self.completeness == "COMPLETE"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsolidatedQuote:
    """The best price of one side over several venues."""

    venue: str
    price: Decimal
    quantity: Decimal
    ts_event: int  # ns since 1970 UTC; 0: the venue gave none
    ts_recv: int  # ns since 1970 UTC


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsolidatedTop:
    """Best bid and best ask over the venues that list a symbol. It may be crossed: venues differ."""

    symbol: str
    bid: ConsolidatedQuote | None  # None: no venue has one
    ask: ConsolidatedQuote | None
    left_out: tuple[tuple[str, str], ...]  # venue and reason
    stamp: Stamp


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamState:
    """A topic changed its state at the venue."""

    topic: Topic
    state: str  # LIVE, SYNCING, STALE, RESYNC, HALTED, REJECTED, DOWN, EMPTY
    reason: str  # SYNCED, SEQUENCE_GAP, CONNECTION_CLOSED, ...; "": not told
    message: str  # for people; remote text
    attempt: int  # to get LIVE again, from 1; 0: none is under way
    ts_next_attempt: int  # ns since 1970 UTC; 0: none is planned
    close_code: int | None  # of the venue's socket
    stamp: Stamp


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A hole in a topic.

    Scope VENUE: between the venue and the service, the same for everyone. DELIVERY: between the service and
    this client. LOCAL: noticed by this client, after a lost connection or where nothing was announced.
    """

    topic: Topic
    scope: str
    cause: (
        str  # DISCONNECT, SEQUENCE_GAP, SLOW_READER, SERVER_RESTART, CONNECTION_LOST, MISMATCH, UNANNOUNCED
    )
    state: str  # OPEN, FILLED, PARTLY_FILLED, LOST
    gap_id: int  # 0: a local gap
    seq_first: int  # first missing ``seq``; 0: what was lost never had one, or it is unknown
    seq_last: int  # last missing ``seq``, inclusive; 0: likewise
    venue_sequence_first: int | None  # or trade id, for trades
    venue_sequence_last: int | None
    ts_first: int  # last good record before it, ns since 1970 UTC; 0: none
    ts_last: int  # its end, ns since 1970 UTC; 0: it has not ended
    count: int | None  # missing events; None: unknown
    filled: int  # events that followed with the flag BACKFILLED


@dataclass(frozen=True, slots=True, kw_only=True)
class BookMismatch:
    """The mirrored book was found wrong and dropped; the topic is subscribed anew for a fresh copy."""

    topic: Topic
    reason: str  # CHECKPOINT, SEQ, VENUE_SEQUENCE, LEVELS, NO_BASE
    seq: int  # of the record that showed it
    expected: str
    received: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryChange:
    """The service changed how a topic is delivered to this call."""

    topic: Topic
    mode_old: str  # EVERY, LATEST, INTERVAL
    mode_new: str
    cause: str  # LAG_WARNING, LAG_CLEARED, BEHIND, BYTES, KEEPS_UP
    skipped: int  # records since the last change
    lag_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A topic is followed from here on."""

    topic: Topic
    requested_symbol: str
    delivery: str  # EVERY, LATEST, INTERVAL
    seq_next: int  # first live ``seq``


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """A topic goes on exactly behind the last record that was processed; what was missed follows."""

    topic: Topic
    seq_next: int  # first record that follows


@dataclass(frozen=True, slots=True, kw_only=True)
class CaughtUp:
    """What was missed, or the history asked for, has come; from here on it is live."""

    topic: Topic
    seq_next: int  # first live ``seq``


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeLost:
    """The position is no longer held: a Gap and a fresh start follow, or the end."""

    topic: Topic
    seq_oldest: int  # oldest ``seq`` that is still held; 0: none


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A topic is not followed any more."""

    topic: Topic
    reason: str
    message: str  # remote text


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """One item of a subscription is not served; the rest goes on."""

    venue: str
    requested_symbol: str
    channel: str
    reason: str  # UNKNOWN_SYMBOL, BOOK_UNVERIFIED, ...
    message: str  # remote text
    suggestions: tuple[str, ...]  # nearest known symbols, best first


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLost:
    """The call to the service broke; it is tried again, and goes on where it stood."""

    reason: str
    retry_in_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconnected:
    """The call runs again; each topic is resumed, or tells what was missed as a gap."""

    attempt: int  # from 1
    down_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Draining:
    """The service is about to stop."""

    ts_deadline: int  # when the call ends at the latest, ns since 1970 UTC; 0: at once


Event = (
    Trade
    | Book
    | TopOfBook
    | Ticker
    | Kline
    | ConsolidatedTop
    | StreamState
    | Gap
    | BookMismatch
    | DeliveryChange
    | Accepted
    | Resumed
    | CaughtUp
    | ResumeLost
    | Ended
    | Refused
    | ConnectionLost
    | Reconnected
    | Draining
)
