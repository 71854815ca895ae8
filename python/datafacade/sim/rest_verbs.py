"""The fault verbs of REST answers and of what they tell. Data."""

from __future__ import annotations

from typing import Final

from datafacade.sim.verb import Verb

MALFORMED_KINDS: Final = (
    "truncated",
    "bad_utf8",
    "nan",
    "huge_exponent",
    "deep",
    "many_digits",
    "duplicate_keys",
    "long_string",
    "not_json",
)
PAGE_KINDS: Final = ("overlap", "hole", "unsorted", "duplicate", "short")
STREAM_KINDS: Final = (
    "cut",
    "longer",
    "shorter",
    "trickle",
    "drip",
    "endless",
    "gzip_bomb",
    "error_object",
)
REST_KINDS: Final = ("empty", "html", *STREAM_KINDS, *MALFORMED_KINDS)
RETRY_FORMS: Final = ("seconds", "date")
REST_VERBS: Final = (
    Verb(
        name="stale_snapshot",
        stage="rest",
        summary="Binance: the REST depth answer is older than anything the stream still tells",
        kinds=(),
    ),
    Verb(
        name="http_status",
        stage="rest",
        kinds=(),
        summary="REST answers `status` with `body`; Retry-After is retry_after, with retry_as=date as a date",
        options={"status": 503, "retry_after": None, "retry_as": "seconds", "body": None, "path": None},
    ),
    Verb(
        name="slow_rest",
        stage="rest",
        kinds=(),
        summary="the REST answer waits ms",
        options={"ms": 2000, "path": None},
    ),
    Verb(
        name="broken_rest",
        stage="rest",
        kinds=(),
        summary=f"the REST answer is broken; kind={'|'.join(REST_KINDS)}",
        options={"kind": "cut", "ms": 5000, "bytes_s": 1, "mib": 100, "path": None},
    ),
    Verb(
        name="rest_limit",
        stage="now",
        summary="the REST limit is `limit` from now on: weight a minute (Binance), requests a second, or in "
        "2 s for each endpoint (OKX); spent is charged at once, as by others behind the address (Binance)",
        options={"limit": 0, "spent": 0},
    ),
    Verb(
        name="ban",
        stage="rest",
        kinds=(),
        summary="REST answers 418 (Binance) or 429, Retry-After counting down from `seconds`",
        options={"seconds": 259_200, "retry_as": "seconds", "path": None},
        is_unbounded=True,
    ),
    Verb(
        name="redirect",
        stage="rest",
        kinds=(),
        summary="REST answers `status` with a Location",
        options={"status": 302, "location": "http://169.254.169.254/latest/meta-data/", "path": None},
    ),
    Verb(
        name="old_answer",
        stage="rest",
        kinds=(),
        summary="every time in the REST answer lies ms back, as from a cache that kept it",
        options={"ms": 36_000_000, "path": None},
    ),
    Verb(
        name="odd_field",
        stage="rest",
        kinds=(),
        summary="each `field` of the REST answer tells `value` (or the text `raw`), or is left out",
        options={"field": "", "value": 0, "raw": None, "is_removed": False, "path": None},
    ),
    Verb(
        name="odd_pages",
        stage="rest",
        kinds=(),
        summary=f"candles by REST: kind={'|'.join(PAGE_KINDS)}; n rows",
        options={"kind": "overlap", "n": 5, "path": None},
    ),
    Verb(
        name="revise",
        stage="now",
        summary="the closed candles of the symbol that begin in from_ms .. until_ms (since 1970) are others "
        "from now on: prices times 1 + price_ratio, volumes times volume_ratio",
        options={"from_ms": 0, "until_ms": 0, "price_ratio": 0.001, "volume_ratio": 1.0},
    ),
    Verb(
        name="shift",
        stage="shift",
        summary="the market of the symbol (or all), at an aggregator its quotes, stand `ratio` higher",
        options={"ratio": 0.05},
        is_unbounded=True,
    ),
    Verb(
        name="depeg",
        stage="shift",
        summary="1 USDT is worth 1 + ratio USD: markets quoted in USDT and USDT itself move",
        options={"ratio": -0.03},
        is_unbounded=True,
    ),
)
