"""The fault verbs: their names, options, and where on the way of a frame they act. Data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from datafacade.sim.odd import ODD_KINDS
from datafacade.sim.rest_verbs import MALFORMED_KINDS, REST_VERBS
from datafacade.sim.verb import Verb

SELECTORS: Final = frozenset(
    {"verb", "venue", "product", "symbol", "channel", "connection", "count", "duration_ms"}
)
UNKNOWN_KINDS: Final = ("type", "enum", "field")
BAD_FRAME_KINDS: Final = (
    "reserved_bits",
    "masked",
    "bad_utf8",
    "oversize",
    "reserved_opcode",
    "fragmented_control",
)


_ALL: Final = (
    Verb(name="drop", stage="frame", summary="the frame is not sent; its sequence number is used up"),
    Verb(name="duplicate", stage="frame", summary="the frame is sent twice"),
    Verb(
        name="reorder",
        stage="frame",
        summary="the frame is sent after the next one of its symbol and channel",
    ),
    Verb(
        name="delay",
        stage="frame",
        summary="the frame and all that follow on its connection wait ms",
        options={"ms": 500},
    ),
    Verb(
        name="mute",
        stage="mute",
        topic="any",
        kinds=(),
        summary="nothing is sent: what=symbol (needs symbol), data (all but heartbeats), heartbeats",
        options={"what": "symbol"},
        is_unbounded=True,
    ),
    Verb(
        name="corrupt",
        stage="frame",
        summary="what=digit: one digit of a quantity among the best `within` levels changes; the JSON stays "
        "valid, the checksum as it was; what=byte: one byte changes so that the JSON does not parse",
        options={"what": "digit", "within": 10},
    ),
    Verb(
        name="truncate",
        stage="frame",
        summary="only the first `keep` bytes of the frame are sent (half of it by default)",
        options={"keep": 0},
    ),
    Verb(name="wrong_checksum", stage="frame", summary="the checksum in the frame is wrong (Kraken, OKX)"),
    Verb(
        name="suppress_delete",
        stage="frame",
        summary="the market moves up through `levels` asks whose deletions are not told: the client's "
        "book crosses",
        options={"levels": 2},
    ),
    Verb(
        name="malformed_message",
        stage="frame",
        kinds=("update", "snapshot"),
        summary=f"a damaged copy of a frame is sent before it (mode=extra) or in its place (mode=replace); "
        f"kind={'|'.join(MALFORMED_KINDS)}",
        options={"kind": "truncated", "mode": "extra"},
    ),
    Verb(
        name="unknown_message",
        stage="frame",
        kinds=("update",),
        summary="kind=type: a message of an unknown type is sent before the frame; kind=enum: a copy of it "
        "whose kind has an unknown value; kind=field: the frame gets an unknown field",
        options={"kind": "type"},
    ),
    Verb(
        name="odd_numbers",
        stage="frame",
        topic="trades",
        kinds=("update",),
        summary=f"a trade (with channel=book a level) tells an odd number; kind={'|'.join(ODD_KINDS)}; the "
        "truth is as it was",
        options={"kind": "price_zero"},
    ),
    Verb(
        name="missing_trades",
        stage="trades",
        topic="trades",
        summary="`ratio` of the trades are told to nobody: their numbers are used up; REST has them unless "
        "is_in_rest is false",
        options={"ratio": 1.0, "is_in_rest": True},
    ),
    Verb(
        name="late_trades",
        stage="trades",
        topic="trades",
        summary="`ratio` of the trades are told ms later, behind younger ones",
        options={"ratio": 1.0, "ms": 3_000},
    ),
    Verb(
        name="repeat_trades",
        stage="now",
        summary="the newest n trades of the symbol (or all) are told once more",
        options={"n": 50},
    ),
    Verb(
        name="repeat_on_subscribe",
        stage="subscription",
        topic="trades",
        summary="ms after a subscription to trades the newest n trades of its symbol are told once more",
        options={"n": 50, "ms": 100},
        is_unbounded=True,
    ),
    Verb(
        name="slow_snapshot",
        stage="frame",
        kinds=("snapshot",),
        summary="the snapshot (Binance: the REST answer) comes ms late; updates go on",
        options={"ms": 2000},
    ),
    Verb(
        name="huge_snapshot",
        stage="frame",
        kinds=("snapshot",),
        summary="the snapshot is grown to `mib` MiB: Coinbase by real far levels (at most 45,000 a side), "
        "then and elsewhere by white space",
        options={"mib": 8},
    ),
    Verb(
        name="no_ack",
        stage="subscription",
        topic="any",
        summary="the subscription is ignored: no ack, no data",
    ),
    Verb(
        name="reject",
        stage="subscription",
        topic="any",
        summary="the subscription is refused in the venue's words",
    ),
    Verb(
        name="ack_and_silence",
        stage="subscription",
        topic="any",
        summary="the subscription is acknowledged, then nothing ever comes",
    ),
    Verb(
        name="refuse_upgrade",
        stage="upgrade",
        summary="the WebSocket upgrade is answered with `status` and Retry-After (retry_as=date: a date)",
        options={"status": 503, "retry_after": None, "retry_as": "seconds"},
    ),
    Verb(
        name="tarpit",
        stage="upgrade",
        summary="TCP is accepted; how=silent: the upgrade is answered after ms; how=trickle: its answer "
        "comes byte by byte, every_ms apart, until the connection ends after ms",
        options={"ms": 30_000, "how": "silent", "every_ms": 1_000},
    ),
    Verb(
        name="flap",
        stage="opened",
        summary="a new connection lives ms after its first data, then ends as how=rst|eof|close",
        options={"ms": 200, "how": "rst"},
    ),
    Verb(name="rst", stage="now", summary="the TCP connection is reset (linger 0)"),
    Verb(
        name="eof", stage="now", summary="the TCP connection ends without a close frame: clients report 1006"
    ),
    Verb(
        name="close",
        stage="now",
        summary="a close frame with `code` and `reason`",
        options={"code": 1001, "reason": ""},
    ),
    Verb(
        name="bad_frame",
        stage="now",
        summary=f"a WebSocket frame that RFC 6455 forbids; kind={'|'.join(BAD_FRAME_KINDS)}",
        options={"kind": "reserved_bits", "mib": 64},
    ),
    Verb(
        name="sequence_reset",
        stage="now",
        summary="OKX: seqId starts low again with an intact chain (legal); Coinbase Advanced: sequence_num "
        "starts at 0; Binance: update ids jump ahead (a gap)",
    ),
    Verb(name="keep_alive", stage="now", summary="OKX: an empty update whose seqId equals its prevSeqId"),
    Verb(
        name="shutdown_notice",
        stage="now",
        summary="the venue's notice of a shutdown, and the close after lead_ms",
        options={"lead_ms": 5000},
    ),
    Verb(
        name="stop_reading",
        stage="reading",
        summary="nothing more is read from the connections",
        is_unbounded=True,
    ),
    Verb(
        name="no_pong",
        stage="pong",
        summary="pings of the client are not answered, neither WebSocket's nor the venue's own",
        is_unbounded=True,
    ),
    Verb(
        name="ping_flood",
        stage="flood",
        summary="per_s WebSocket pings a second, each with another payload, for duration_ms (5000)",
        options={"per_s": 10_000},
        is_unbounded=True,
    ),
    Verb(
        name="halt",
        stage="halt",
        summary="the market stands still and the instrument list says so, until it is removed or over",
        is_unbounded=True,
    ),
    Verb(
        name="lifetime",
        stage="now",
        summary="connections of the product end after `seconds` from now on, as after the venue's 24 h",
        options={"seconds": 30},
    ),
    Verb(
        name="pace",
        stage="now",
        summary="the market of the symbol (or all) takes steps_per_s steps a second from now on; 0 is quiet",
        options={"steps_per_s": 0.0},
    ),
    Verb(
        name="burst",
        stage="now",
        summary="the market of the symbol (or all) runs `factor` times as fast for duration_ms (5000)",
        options={"factor": 20},
    ),
)
VERBS: Final[Mapping[str, Verb]] = {verb.name: verb for verb in (*_ALL, *REST_VERBS)}
