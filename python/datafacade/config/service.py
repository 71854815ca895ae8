"""Shape ``service.yaml``: the hot path, its hub, the server, timers and logs. Durations carry their unit."""

from dataclasses import field
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from datafacade.config.fields import (
    STRICT,
    Bytes,
    Count,
    Milliseconds,
    Name,
    Port,
    Ratio,
    Seconds,
    Text,
    Version,
)


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Feeding:
    """Figures that each Feed gets under these names (FAULTS 1.3). ``timers.scale`` scales all ``*_ms``."""

    ack_ms: Milliseconds = 5_000  # for the answer to a subscription, and again for its snapshot
    ack_tries: Count = 3
    reconnect_first_ms: Milliseconds = 250  # attempt 1 is uniform in 0 to this
    reconnect_base_ms: Milliseconds = 500  # then equal jitter, doubling to 3 times hot.reconnect_sec
    settled_ms: Milliseconds = 30_000  # LIVE for so long resets the backoff
    snapshot_levels: Count = 1_000  # levels a side of a REST snapshot
    book_depth: Count = 1_000  # levels a side of a subscribed book where the venue lets us choose
    levels_max: Count = 50_000  # levels a side that are kept
    buffer_deltas_max: Count = 20_000  # that wait for a snapshot, per symbol
    buffer_bytes_max: Bytes = 16 * 2**20
    resync_min_ms: Milliseconds = 250  # first wait between two snapshot tries, doubling
    resync_fast_max_ms: Milliseconds = 3_000
    resync_fast_tries: Count = 5
    resync_slow_ms: Milliseconds = 15_000  # then for ever
    quiet_ms: Milliseconds = 5_000  # a REST snapshot waits so long for its first delta
    crossed_ms: Milliseconds = 1_000  # a book may stay crossed
    checkpoint_ms: Milliseconds = 1_000
    checkpoint_levels: Annotated[int, Field(ge=0, le=50_000)] = 50  # 0: the whole book
    heartbeat_ms: Milliseconds = 1_000
    backfill_ms: Milliseconds = 5_000  # missing trades are looked for in REST; then they are told as lost
    stale_ms: Milliseconds = 5_000  # shortest silence of a stream that is strange
    stale_unknown_ms: Milliseconds = 20_000  # likewise, of a stream whose rhythm is not known yet
    probe_ms: Milliseconds = 10_000  # between two questions about a silent stream
    line_probe_ms: Milliseconds = 20_000  # silence of all data after which a connection is asked about
    audit_ms: Annotated[int, Field(ge=0, le=86_400_000)] = 300_000  # between two audits of a book; 0: none
    audit_window_ms: Milliseconds = 2_000  # changes are noted so long before REST is asked, and behind it
    audit_confirm_ms: Milliseconds = 10_000  # before a difference is looked at again
    kline_close_ms: Milliseconds = 250  # after its end a kline waits so long before it is FINAL
    kline_late_ms: Milliseconds = 2_000  # after its end a late trade still issues it again
    kline_provisional_ms: Milliseconds = 1_000  # between two provisional issues of a kline
    malformed_max: Count = 10  # undecodable frames a minute


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Hot:
    """The streaming tier."""

    venues: tuple[Name, ...] = ("kraken", "binance", "okx", "coinbase")
    max_pairs: Count = 30  # distinct symbols of the whole service
    reconnect_sec: Seconds = 5.0  # a third of the longest wait between two attempts
    buffer_size: Annotated[int, Field(ge=1_000, le=1_000_000)] = 1_000  # updates kept per topic at least
    timeout_sec: Seconds = 10.0  # a REST call as a whole
    dial_timeout_sec: Seconds = 5.0  # name, TCP, TLS and upgrade together
    write_timeout_sec: Seconds = 5.0
    write_buffer_bytes: Bytes = 64 * 2**10
    read_buffer_bytes: Bytes = 4 * 2**20  # received and not yet parsed; beyond it reading pauses
    large_frame_bytes: Bytes = 256 * 2**10  # beyond it a worker thread parses
    rest_body_bytes_max: Bytes = 32 * 2**20
    instruments_refresh_sec: Seconds = 3_600.0
    linger_sec: Seconds = 30.0  # between the last subscriber's leave and the venue's unsubscribe
    history_trades_max: Count = 100_000  # of one item with ts_history_start
    history_klines_max: Count = 10_000  # likewise
    feed: Feeding = field(default_factory=Feeding)


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Warm:
    """The cached REST tier."""

    venues: tuple[Name, ...] = ("kraken", "binance", "okx", "coinbase")  # with all their products
    default_ttl_sec: Seconds = 30.0  # of klines whose interval is not in klines_ttls of cache.yaml
    max_retries: Annotated[int, Field(ge=0, le=3)] = 3
    backoff_base_sec: Seconds = 1.0
    request_limit_per_min: Annotated[int, Field(ge=60, le=100_000)] = 100  # share_ratio leaves so many


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class HubBounds:
    """What the rings and their subscribers may hold."""

    ring_bytes: Bytes = 64 * 2**20  # all topics together
    ring_sec: Seconds = 60.0
    owed_bytes_max: Bytes = 4 * 2**20  # per subscriber
    lag_sec_max: Seconds = 30.0  # per subscriber
    journal_bytes: Annotated[int, Field(ge=2**20, le=2**40)] = 512 * 2**20  # on disk, all topics together
    journal_sec: Seconds = 3_600.0


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Server:
    """The gRPC server."""

    host: Text = "127.0.0.1"
    port: Port = 50_051  # 0: any free one
    metrics_port: Port | None = 50_052  # page for Prometheus, loopback only; 0: any free one; None: no page
    request_bytes_max: Bytes = 64 * 2**10
    response_bytes_max: Bytes = 64 * 2**10  # of one streamed response, unless one update alone is larger
    metadata_bytes_max: Bytes = 16 * 2**10
    calls_queued_max: Count = 4_096
    streams_per_connection_max: Count = 128
    instruments_max: Count = 500  # of one stream
    topics_max: Count = 4_000  # of one stream: instruments times channels and variants
    streams_max: Count = 512  # of all clients
    unary_timeout_sec: Seconds = 10.0
    first_message_sec: Seconds = 5.0  # of a stream
    blocked_write_sec_max: Seconds = 10.0
    keepalive_sec: Seconds = 10.0
    keepalive_timeout_sec: Seconds = 5.0
    drain_sec: Seconds = 8.0  # between SIGTERM and the end of the last stream


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Data:
    """What outlives the process: the journal, the ledger of completeness, the number of the last start."""

    dir: Text | None = None  # "none": memory only; None: DATAFACADE_DATA_DIR, else the user's state directory
    coverage_days: Annotated[int, Field(ge=1, le=3_660)] = 30  # that Coverage looks back


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Timers:
    """One factor for all waits of the hot path, so that tests run the same code in less time."""

    scale: Annotated[float, Field(gt=0, le=10)] = 1.0


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Log:
    """JSON lines on stderr."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    repeat_sec: Seconds = 60.0  # a repeated event is written once in so long, with its count
    text_bytes_max: Annotated[int, Field(ge=16, le=65_536)] = 256  # of one untrusted text
    latency_quantiles: tuple[Ratio, ...] = (0.5, 0.99, 0.999)  # shown by Health


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Service:
    """The file as a whole."""

    version: Version
    hot: Hot = field(default_factory=Hot)
    warm: Warm = field(default_factory=Warm)
    hub: HubBounds = field(default_factory=HubBounds)
    server: Server = field(default_factory=Server)
    data: Data = field(default_factory=Data)
    timers: Timers = field(default_factory=Timers)
    log: Log = field(default_factory=Log)
