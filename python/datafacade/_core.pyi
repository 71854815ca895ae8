"""The Rust core as Python sees it. Checked against the built module by stubtest."""

from collections.abc import Iterator
from os import PathLike
from typing import Any, Literal, TypeAlias, final

__all__ = [
    "AnswerCache",
    "Cache",
    "Call",
    "Clock",
    "Consolidator",
    "Cuts",
    "Edge",
    "Feed",
    "Held",
    "Hub",
    "Journal",
    "KlineTable",
    "PositionAhead",
    "PositionLost",
    "Reconciler",
    "Rows",
    "Table",
    "decode_instruments",
    "fill_kline_columns",
    "kline_columns",
    "kline_range",
    "parse_variant",
    "rest_request",
    "rest_rows",
    "roll_up_kline_columns",
]

# ("send", text), ("fetch", request_id, path, weight), ("close", code, reason) or ("connect", delay_ns)
_Command: TypeAlias = tuple[Any, ...]

@final
class Clock:
    """A clock: the machine's, or one that stands still until it is set."""

    @staticmethod
    def real() -> Clock: ...
    @staticmethod
    def manual(wall_ns: int, monotonic_ns: int = 0) -> Clock: ...
    def set(self, wall_ns: int, monotonic_ns: int) -> None: ...
    def advance(self, by_ns: int) -> None: ...
    def wall_ns(self) -> int: ...
    def monotonic_ns(self) -> int: ...

@final
class Cache:
    """A mapping that forgets: the least recently used entry leaves first, and none outlives its time."""

    def __new__(cls, *, entries_max: int, bytes_max: int = 0, clock: Clock | None = None) -> Cache: ...
    def get(self, key: str | bytes, default: Any | None = None) -> Any: ...
    def set(
        self,
        key: str | bytes,
        value: Any,
        *,
        ttl_ms: int,
        stale_ms: int = 0,
        cache_class: str = "",
        size_bytes: int | None = None,
    ) -> None: ...
    def pop(self, key: str | bytes, default: Any | None = None) -> Any: ...
    def clear(self) -> None: ...
    def keys(self) -> list[str | bytes]: ...
    def stats(self) -> list[dict[str, Any]]: ...
    def __len__(self) -> int: ...
    def __contains__(self, key: str | bytes, /) -> bool: ...
    def __iter__(self) -> Iterator[str | bytes]: ...
    def __getitem__(self, key: str | bytes, /) -> Any: ...
    def __setitem__(self, key: str | bytes, value: Any, /) -> None: ...
    def __delitem__(self, key: str | bytes, /) -> None: ...

@final
class Held:
    """An answer as it was found in an `AnswerCache`."""

    @property
    def message(self) -> bytes: ...
    @property
    def snapshot_id(self) -> str: ...
    @property
    def ts_cached(self) -> int: ...
    @property
    def ts_expires(self) -> int: ...
    @property
    def is_stale(self) -> bool: ...
    @property
    def age_ns(self) -> int: ...
    @property
    def cache_class(self) -> str: ...

@final
class AnswerCache:
    """The service's encoded answers: made by handlers, repeated by the edge."""

    def __new__(
        cls, *, entries_max: int, bytes_max: int, clock: Clock, classes: list[tuple[str, int]]
    ) -> AnswerCache: ...
    def put(
        self,
        key: str,
        message: bytes,
        *,
        cache_class: str,
        ts_cached: int,
        ttl_ms: int,
        stale_ms: int,
        age_ns: int = 0,
        owner: str = "",
    ) -> str: ...
    def get(self, key: str, *, cache_class: str = "") -> Held | None: ...
    def peek(self, key: str) -> Held | None: ...
    def alias(self, method: str, request: bytes, key: str) -> bool: ...
    def remove(self, key: str) -> bool: ...
    def clear(self) -> None: ...
    def sweep(self, places: int) -> None: ...
    def stats(self) -> list[dict[str, Any]]: ...
    def owners(self) -> list[tuple[str, int, int]]: ...
    def __len__(self) -> int: ...

@final
class Cuts:
    """Topics of which somebody waits for a cut."""

class PositionLost(ValueError):
    """The ring no longer holds what follows a position; ``args`` is (seq_oldest,)."""

class PositionAhead(ValueError):
    """A position lies above the head of its topic; ``args`` is (head,)."""

@final
class Hub:
    """The bus between feeds and subscribers."""

    def __new__(
        cls,
        *,
        epoch: int,
        ring_bytes: int = 67108864,
        ring_age_ms: int = 60000,
        owed_bytes: int = 4194304,
        lag_ms: int = 30000,
    ) -> Hub: ...
    def subscriber(self) -> int: ...
    def attach(
        self,
        subscriber: int,
        venue: str,
        symbol: str,
        channel: int,
        variant: str,
        *,
        start: Literal["next", "newest", "cut", "after"],
        wall_ns: int,
        request_id: int,
        subscription_id: int,
        requested_symbol: str,
        seq_after: int = 0,
        delivery: Literal["every", "latest", "interval"] = "every",
        interval_ms: int = 0,
        conflate: Literal["newest", "cut"] = "newest",
        phase: Literal["", "accepted", "resumed"] = "accepted",
        history_trade_id_last: int | None = None,
    ) -> tuple[int, int]: ...
    def status(
        self,
        subscriber: int,
        venue: str,
        symbol: str,
        channel: int,
        variant: str,
        *,
        phase: Literal["accepted", "rejected", "resumed", "resume_lost", "caught_up", "ended"],
        wall_ns: int,
        request_id: int,
        subscription_id: int,
        requested_symbol: str,
        code: int = 0,
        reason: str = "",
        message: str = "",
        delivery: Literal["every", "latest", "interval"] = "every",
        interval_ms: int = 0,
        seq_next: int = 0,
        seq_oldest: int = 0,
        history_trade_id_last: int | None = None,
    ) -> bool: ...
    def gap(
        self,
        subscriber: int,
        venue: str,
        symbol: str,
        channel: int,
        variant: str,
        *,
        epoch: int,
        seq_first: int,
        seq_last: int,
        cause: Literal["slow_reader", "server_restart", "resume_too_old"],
        wall_ns: int,
        gap_id: int = 0,
        count: int | None = None,
        ts_first: int = 0,
        ts_last: int = 0,
    ) -> bool: ...
    def reject(
        self,
        subscriber: int,
        venue: str,
        symbol: str,
        channel: int,
        variant: str,
        *,
        wall_ns: int,
        request_id: int,
        subscription_id: int,
        requested_symbol: str,
        code: int,
        reason: str,
        message: str,
        suggestions: list[str],
    ) -> bool: ...
    def detach(
        self,
        subscriber: int,
        venue: str,
        symbol: str,
        channel: int,
        variant: str,
        *,
        wall_ns: int,
        request_id: int,
        subscription_id: int,
        requested_symbol: str,
    ) -> bool: ...
    def push(self, subscriber: int, update: bytes) -> bool: ...
    def push_entries(self, subscriber: int, entries: bytes) -> bool: ...
    def owed(self, subscriber: int) -> int | None: ...
    def take(
        self, subscriber: int, bytes_max: int, *, monotonic_ns: int | None = None, stream_seq: int = 0
    ) -> tuple[bytes, int, str | None, int | None]: ...
    def ack(self, subscriber: int, stream_seq: int, *, monotonic_ns: int | None = None) -> None: ...
    def close(self, subscriber: int) -> None: ...
    def drain(self) -> None: ...
    def advance(self, wall_ns: int, monotonic_ns: int) -> None: ...
    def positions(self, subscriber: int) -> list[tuple[str, str, int, str, int]]: ...
    def subscribers(self, venue: str, symbol: str, channel: int, variant: str) -> int: ...
    def head(self, venue: str, symbol: str, channel: int, variant: str) -> int: ...
    def cuts_fd(self) -> int: ...
    def cuts_wanted(self) -> Cuts: ...
    def ready_fd(self) -> int: ...
    def ready(self) -> list[int]: ...
    def stats(self) -> dict[str, int]: ...

@final
class Consolidator:
    """The best bid and offer of a symbol over venues: one topic of the venue `consolidated`."""

    def __new__(cls, hub: Hub, clock: Clock, *, epoch: int) -> Consolidator: ...
    def follow(self, symbol: str, venues: list[str]) -> None: ...
    def leave(self, symbol: str) -> None: ...

@final
class Feed:
    """The machine of one venue connection: frames and answers in, commands and records out."""

    def __new__(
        cls,
        *,
        venue: str,
        product: str,
        hub: Hub,
        clock: Clock,
        epoch: int,
        seed: int = 0,
        figures: list[tuple[str, int]] | None = None,
        is_replay: bool = False,
        report_every: int = 0,
        klines: list[str] | None = None,
        consolidator: Consolidator | None = None,
        is_standby: bool = False,
    ) -> Feed: ...
    def add_instruments(self, body: bytes) -> int: ...
    def adopt_instruments(self, old: Feed) -> int: ...
    def instruments(self) -> list[dict[str, Any]]: ...
    def subscribe(
        self, venue_symbol: str, channel: int, variant: str = "", *, told: tuple[int, int] | None = None
    ) -> list[_Command] | None: ...
    def unsubscribe(self, venue_symbol: str, channel: int, variant: str = "") -> list[_Command] | None: ...
    def start(self) -> list[_Command] | None: ...
    def on_opened(self) -> list[_Command] | None: ...
    def on_frame(self, frame: bytes, ts_recv: int, has_more: bool = False) -> list[_Command] | None: ...
    def on_large_frame(self, frame: bytes, ts_recv: int) -> list[_Command] | None: ...
    def on_response(
        self, request_id: int, status: int, body: bytes, ts_recv: int
    ) -> list[_Command] | None: ...
    def on_large_response(
        self, request_id: int, status: int, body: bytes, ts_recv: int
    ) -> list[_Command] | None: ...
    def roll_due(self) -> str | None: ...
    def take_over(self, old: Feed) -> tuple[bool, list[_Command] | None]: ...
    def on_recorded_snapshot(self, venue_symbol: str, body: bytes, ts_recv: int) -> list[_Command] | None: ...
    def on_tick(self) -> list[_Command] | None: ...
    def on_closed(self, code: int, message: str = "") -> list[_Command] | None: ...
    def on_dial_failed(self, cause: str, message: str = "", wait_ns: int = 0) -> list[_Command] | None: ...
    def serve_cuts(self, wanted: Cuts) -> list[_Command] | None: ...
    def deadline_ns(self) -> int: ...
    def set_book_depth(self, depth: int) -> None: ...
    def book(self, symbol: str, depth: int) -> tuple[bytes, bytes] | None: ...
    def stats(self) -> dict[str, Any]: ...
    def history_path(
        self, symbol: str, channel: int, variant: str, *, ts_from: int, ts_until: int, cursor: str
    ) -> tuple[str, int] | None: ...
    def history_page(
        self,
        symbol: str,
        channel: int,
        variant: str,
        body: bytes,
        *,
        ts_from: int,
        ts_until: int,
        cursor: str,
    ) -> tuple[list[tuple[int, int, bytes]], str]: ...
    def take_notes(self) -> list[dict[str, Any]]: ...
    def topics(self) -> list[dict[str, Any]]: ...
    def report(self) -> dict[str, dict[str, Any]]: ...
    def arm_failpoint(self) -> None: ...

def decode_instruments(venue: str, product: str, body: bytes) -> list[dict[str, Any]]: ...
def parse_variant(channel: int, variant: str) -> str: ...

@final
class Journal:
    """The disk-backed ring of updates: written by a thread of its own, read by whoever resumes."""

    def __new__(
        cls,
        hub: Hub,
        dir: str | PathLike[str],
        *,
        clock: Clock,
        epoch: int,
        bytes_max: int = 536870912,
        age_ms: int = 3600000,
    ) -> Journal: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def flush(self) -> bool: ...
    def take_notices(self) -> tuple[bytes, bool]: ...
    def ranges(self, venue: str, symbol: str, channel: int, variant: str) -> list[tuple[int, int, int]]: ...
    def read(
        self,
        venue: str,
        symbol: str,
        channel: int,
        variant: str,
        *,
        epoch: int,
        seq_after: int,
        bytes_max: int = 262144,
    ) -> tuple[bytes, int]: ...
    def stats(self) -> dict[str, Any]: ...

@final
class Call:
    """One message that waits for a handler's answer."""

    @property
    def id(self) -> int: ...
    @property
    def method(self) -> str: ...
    @property
    def request(self) -> bytes: ...
    @property
    def deadline_ns(self) -> int | None: ...
    @property
    def peer(self) -> str: ...
    @property
    def subscriber(self) -> int | None: ...
    @property
    def is_cancelled(self) -> bool: ...
    @property
    def is_refresh(self) -> bool: ...
    def metadata(self) -> list[tuple[str, str]]: ...
    def reply(
        self,
        message: bytes = ...,
        *,
        cache_tier: int = 1,
        key: str = "",
        is_stale: bool = False,
        ts_cached: int = 0,
        ts_expires: int = 0,
        age_ns: int = 0,
        snapshot_id: str = ...,
    ) -> bool: ...
    def part(self, message: bytes) -> bool: ...
    def fail(self, code: int, message: str, details: bytes = ...) -> bool: ...

@final
class Edge:
    """The gRPC server: one thread that never takes the interpreter's lock."""

    def __new__(
        cls,
        hub: Hub,
        *,
        epoch: int,
        hosts: list[str] = ...,
        port: int = 0,
        descriptor: bytes = ...,
        served_methods: list[str] = ...,
        answers: AnswerCache | None = None,
        cached_methods: dict[str, list[int]] = ...,
        fresh_ms: int = 60000,
        expired_ms: int = 300000,
        dev: bool = False,
        insecure_public: bool = False,
        limits: dict[str, int] = ...,
    ) -> Edge: ...
    def start(self) -> int: ...
    def addresses(self) -> list[str]: ...
    def fd(self) -> int: ...
    def calls(self) -> list[Call]: ...
    def cancelled(self) -> list[int]: ...
    def credited(self) -> list[int]: ...
    def closed(self) -> list[int]: ...
    def set_health(self, service: str, is_serving: bool) -> None: ...
    def drain(self, grace_ms: int) -> None: ...
    @property
    def is_idle(self) -> bool: ...
    def stop(self) -> None: ...
    def stats(self) -> dict[str, int]: ...

@final
class KlineTable:
    """A table of klines that lends itself over the Arrow C stream interface."""

    def __arrow_c_stream__(self, requested_schema: Any | None = None) -> Any: ...
    def __len__(self) -> int: ...

def kline_columns(
    trades: Any, *, variant: str, price_digits: int, quantity_digits: int
) -> KlineTable | None: ...
def roll_up_kline_columns(
    klines: Any, *, variant: str, price_digits: int, quantity_digits: int
) -> KlineTable: ...
def fill_kline_columns(
    klines: Any, *, variant: str, method: str, ts_end: int | None, price_digits: int, quantity_digits: int
) -> KlineTable: ...

@final
class Table:
    """A table that lends itself over the Arrow C stream interface."""

    def __arrow_c_stream__(self, requested_schema: Any | None = None) -> Any: ...
    def __len__(self) -> int: ...

# outcome, price, median, confidence, deviation, sources that are no outliers, aggregators against venues,
# reason and converted price of each quote
_Judgement: TypeAlias = tuple[str, str, str, float, float, int, bool, list[str], list[str]]

@final
class Reconciler:
    """Makes one price, or one bar, of what several sources say."""

    def __new__(
        cls,
        *,
        method: str,
        deviation_ratio_max: float,
        sources_min: int,
        confidence_ratio_min: float,
        trim_ratio: float,
        age_ns_max: int,
        age_ns_max_by_source: dict[str, int],
        aggregators: list[str],
    ) -> Reconciler: ...
    def judge(self, quotes: list[tuple[str, str, str | None, int | None]]) -> _Judgement: ...
    def judge_columns(self, quotes: Any, *, price_digits: int) -> tuple[Table, Table]: ...
    def judge_bar_columns(self, bars: Any, *, price_digits: int) -> tuple[Table, Table]: ...

@final
class Rows:
    """Rows of one or several pages: sorted, each once."""

    def __arrow_c_stream__(self, requested_schema: Any | None = None) -> Any: ...
    def __len__(self) -> int: ...
    @property
    def cursor(self) -> str: ...
    @property
    def ts_recv(self) -> int: ...
    @property
    def ts_newest(self) -> int: ...
    @property
    def ts_told(self) -> int: ...
    @property
    def shows_empty(self) -> bool: ...
    def next_cursor(self, limit: int = 0) -> str: ...
    def extend(self, other: Rows) -> Rows: ...
    def tail(self, limit: int) -> Rows: ...
    def holes(self, *, ts_from: int, ts_until: int, now: int) -> list[tuple[int, int, str]]: ...
    def ticker(self) -> dict[str, str]: ...
    def encode_klines(
        self, venue: str, symbol: str, interval: str, holes: list[tuple[int, int, str]]
    ) -> bytes: ...
    def encode_trades(self, venue: str, symbol: str) -> bytes: ...
    def encode_ticker(self, venue: str, symbol: str) -> bytes: ...
    def encode_funding(self, venue: str, symbol: str) -> bytes: ...
    def encode_book(self, venue: str, symbol: str, *, flags: int = 0) -> bytes: ...

def kline_range(
    interval: str, *, now: int, limit: int = 0, ts_from: int = 0, ts_until: int = 0
) -> tuple[int, int]: ...
def rest_request(
    venue: str,
    product: str,
    kind: str,
    venue_symbol: str,
    *,
    now: int,
    interval: str = "",
    limit: int = 0,
    ts_from: int = 0,
    ts_until: int = 0,
    cursor: str = "",
) -> tuple[str, int] | None: ...
def rest_rows(
    venue: str,
    product: str,
    kind: str,
    body: bytes,
    *,
    now: int,
    ts_recv: int,
    price_exponent: int = 0,
    quantity_exponent: int = 0,
    interval: str = "",
    limit: int = 0,
    ts_from: int = 0,
    ts_until: int = 0,
    cursor: str = "",
) -> Rows: ...
