"""Say how the venues are, in real numbers: what the Feeds, budgets and breakers themselves count."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from datafacade.clock import Clock
from datafacade.guard.breaker import BreakerState
from datafacade.guard.health import breaker_row, limit_rows, rest_rows
from datafacade.hot.advice import ERRORS_MANY, VenueSigns, advise
from datafacade.hot.feed import FeedRunner
from datafacade.hot.ports import Hub
from datafacade.hot.tier import VenueLine
from datafacade.observe.latency import Latency
from datafacade.types import Channel
from datafacade.v1 import health_pb2, types_pb2

_H = health_pb2
_STAGES: Final = (
    ("venue_to_recv", _H.LATENCY_STAGE_VENUE_TO_RECV),
    ("recv_to_publish", _H.LATENCY_STAGE_RECV_TO_PUBLISH),
)


def venue_health(venue: VenueLine, *, hub: Hub, clock: Clock, summary_only: bool) -> _H.VenueHealth:
    """Return one venue's row."""
    stats = {name: runner.stats() for name, runner in venue.runners.items()}
    health = _H.VenueHealth(venue=venue.spec.name)
    health.ts_last_seen = max(int(one["ts_frame_last"]) for one in stats.values())
    health.ws_connected = all(run.is_open for run in venue.runners.values() if run.is_needed)
    for name, runner in venue.runners.items():
        streams = [_stream(row, runner, hub, stats[name]) for row in runner.topics()]
        if not summary_only:
            health.streams.extend(streams)
        _count(health.counts, stats[name], streams)
        _offset(health, stats[name])
        if runner.is_needed or runner.is_open:
            health.connections.extend(_connections(runner, clock))
    health.streams.sort(key=lambda stream: (stream.symbol, stream.channel, stream.variant))
    health.latencies.extend(_stages(stats.values(), venue))
    _rest(health, venue, clock)
    _guards(health, venue, clock)
    p99 = [row.quantiles.p99_ns for row in health.latencies if row.stage == _H.LATENCY_STAGE_RECV_TO_PUBLISH]
    if p99:
        health.latency_ns_p99 = max(p99)
    health.is_rest_fallback = any(bool(one["is_fallback"]) for one in stats.values())
    health.status = _status(health, venue)
    health.recommendation = advise(_signs(health, venue, clock))
    return health


def _stream(
    row: Mapping[str, Any], runner: FeedRunner, hub: Hub, stats: Mapping[str, Any]
) -> _H.StreamHealth:
    venue = runner.key.venue
    stream = _H.StreamHealth(
        symbol=row["symbol"],
        channel=row["channel"],
        variant=row["variant"],
        state=row["state"],
        reason=row["reason"],
        ts_since_event=row["ts_since_event"],
        ts_since_recv=row["ts_since_recv"],
        connection=stats["connection"],
        attempt=row["attempt"],
        ts_next_attempt=row["ts_next_attempt"],
        integrity=row["integrity"],
        seq_head=row["seq"],
        ts_recv_last=row["ts_recv_last"],
        subscribers=hub.subscribers(venue, row["symbol"], row["channel"], row["variant"]),
    )
    if stats["close_code"] is not None:
        stream.close_code = stats["close_code"]
    counts = stream.counts
    counts.messages = row["records"]
    counts.gaps, counts.duplicates = row["gaps"], row["duplicates"]
    if row["channel"] == Channel.TRADES:
        counts.trades = row["records"]
    book = row["book"]
    if book is not None:
        counts.book_updates, counts.resyncs = book["updates"], book["resyncs"]
        counts.proofs_checked = book["proofs"]["checked"]
        counts.proofs_failed = book["proofs"]["failed"]
        if book["venue_sequence"] is not None:
            stream.venue_sequence_last_good = book["venue_sequence"]
    return stream


def _count(sums: _H.StreamCounts, stats: Mapping[str, Any], streams: Iterable[_H.StreamHealth]) -> None:
    """Add one feed to its venue's sums: what it counts now, and what topics had counted that are gone."""
    sums.messages += stats["frames"]
    sums.trades += stats["trades"]
    sums.reconnects += stats["reconnects"]
    sums.unknown_messages += stats["unknown"]
    sums.undecodable_messages += stats["errors"]
    sums.duplicates += stats["duplicates"]
    sums.audits_agreed += stats["audits_agreed"]
    sums.audits_suspected += stats["audits_suspected"]
    sums.audits_damaged += stats["audits_damaged"]
    sums.audits_inconclusive += stats["audits_inconclusive"]
    for name, count in stats["given_up"].items():
        setattr(sums, name, getattr(sums, name) + count)
    for stream in streams:
        sums.book_updates += stream.counts.book_updates
        sums.gaps += stream.counts.gaps
        sums.resyncs += stream.counts.resyncs
        sums.proofs_checked += stream.counts.proofs_checked
        sums.proofs_failed += stream.counts.proofs_failed


def _connections(runner: FeedRunner, clock: Clock) -> list[_H.ConnectionHealth]:
    """Return a row for the connection in use and, while it is renewed, one for the other."""
    to_wall = clock.wall_ns() - clock.monotonic_ns()
    rows = []
    for one in runner.connections:
        stats = one.stats()
        row = _H.ConnectionHealth(
            connection=max(1, stats["connection"]),
            host=urlsplit(one.url).netloc,
            connected=one.is_open,
            ts_opened=one.opened_at_ns + to_wall if one.opened_at_ns else 0,
            ts_frame_last=stats["ts_frame_last"],
            topics=len(one.topics()),
        )
        if not one.is_open:
            row.attempt = max(1, stats["attempt"])
            row.ts_next_attempt = runner.dial_at_ns + to_wall
        rows.append(row)
    return rows


def _stages(stats: Iterable[Mapping[str, Any]], venue: VenueLine) -> list[_H.StageLatency]:
    """Return the stages that were measured; of several feeds the busiest speaks for the venue."""
    rows = []
    everything = list(stats)
    for name, stage in _STAGES:
        count, quantiles, negative = max((one[name] for one in everything), key=lambda one: one[0])
        if count or negative:
            row = _H.StageLatency(stage=stage, negative_count=negative)
            row.quantiles.count = count
            p50, p90, p99, p999 = (max(0, int(value)) for value in quantiles)
            row.quantiles.p50_ns, row.quantiles.p90_ns = p50, p90
            row.quantiles.p99_ns, row.quantiles.p999_ns = p99, p999
            rows.append(row)
    busiest = max((rest.guards.latency for rest in venue.rests.values()), key=lambda one: one.count)
    rows.extend(stage_latency(_H.LATENCY_STAGE_REST, busiest))
    return rows


def stage_latency(stage: _H.LatencyStage.ValueType, latency: Latency) -> list[_H.StageLatency]:
    """Return a row of what was measured, or none."""
    quantiles = latency.quantiles()
    if quantiles is None:
        return []
    found = types_pb2.LatencyQuantiles(
        count=quantiles.count,
        p50_ns=quantiles.p50_ns,
        p90_ns=quantiles.p90_ns,
        p99_ns=quantiles.p99_ns,
        p999_ns=quantiles.p999_ns,
    )
    return [_H.StageLatency(stage=stage, quantiles=found)]


def _rest(health: _H.VenueHealth, venue: VenueLine, clock: Clock) -> None:
    now = clock.monotonic_ns()
    ratios = [rest.guards.failures.ratio(now) for rest in venue.rests.values()]
    known = [ratio for ratio in ratios if ratio is not None]
    if known:
        health.error_ratio = max(known)
    if known or any(rest.guards.latency.count for rest in venue.rests.values()):
        breakers = (rest.guards.breaker.state() for rest in venue.rests.values())
        is_closed = all(state is BreakerState.CLOSED for state in breakers)
        health.rest_healthy = is_closed and max(known, default=0.0) <= ERRORS_MANY


def _guards(health: _H.VenueHealth, venue: VenueLine, clock: Clock) -> None:
    """Show budgets and breakers."""
    limits = limit_rows("connections", venue.dials, clock)
    for name, rest in venue.rests.items():
        limits += rest_rows(f"rest:{name}", rest.guards.budgets, clock)
    health.rate_limits.extend(sorted(limits, key=lambda limit: limit.budget))
    breakers = [breaker_row("websocket", next(iter(venue.runners.values())).breaker, clock)]
    breakers += [
        breaker_row(f"http:{name}", rest.guards.breaker, clock) for name, rest in venue.rests.items()
    ]
    health.breakers.extend(sorted(breakers, key=lambda breaker: breaker.transport))


def _status(health: _H.VenueHealth, venue: VenueLine) -> _H.HealthStatus.ValueType:
    if not venue.is_up:
        return _H.HEALTH_STATUS_OFFLINE
    needed = [runner for runner in venue.runners.values() if runner.is_needed]
    states = [int(row["state"]) for runner in needed for row in runner.topics()]
    is_whole = health.ws_connected and (health.rest_healthy or not health.HasField("rest_healthy"))
    is_live = all(state == types_pb2.STATE_LIVE for state in states)
    return _H.HEALTH_STATUS_HEALTHY if is_whole and is_live else _H.HEALTH_STATUS_DEGRADED


def _offset(health: _H.VenueHealth, stats: Mapping[str, Any]) -> None:
    """Show the venue's clock against ours; of several feeds the quickest messages speak."""
    offset = stats["clock_offset_ns"]
    if offset is not None and (not health.HasField("clock_offset_ns") or offset > health.clock_offset_ns):
        health.clock_offset_ns = offset


def _signs(health: _H.VenueHealth, venue: VenueLine, clock: Clock) -> VenueSigns:
    slow = (row for row in health.latencies if row.stage == _H.LATENCY_STAGE_VENUE_TO_RECV)
    last_sign = max(health.ts_last_seen, *(row.ts_opened for row in health.connections), 0)
    is_needed = any(runner.is_needed for runner in venue.runners.values())
    return VenueSigns(
        is_offline=health.status == _H.HEALTH_STATUS_OFFLINE,
        is_ws_connected=health.ws_connected,
        is_rest_healthy=health.rest_healthy if health.HasField("rest_healthy") else None,
        error_ratio=health.error_ratio,
        latency_ns_p99=max((row.quantiles.p99_ns for row in slow), default=0),
        silent_ns=clock.wall_ns() - last_sign if is_needed and last_sign else 0,
    )
