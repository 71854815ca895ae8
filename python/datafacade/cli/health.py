"""``datafacade health``: how a running service and its venues are."""

from __future__ import annotations

from itertools import groupby

from rich.table import Table
from rich.text import Text

from datafacade.cli.ask import TARGET_DEFAULT, Json, Target, Venues, ask
from datafacade.cli.message import Enum, plain, word
from datafacade.cli.output import out, print_table, table_of, write_json
from datafacade.cli.text import NOTHING, clean, clock, duration
from datafacade.v1 import health_pb2, types_pb2

STYLES = {"HEALTHY": "bold green", "DEGRADED": "bold yellow", "OFFLINE": "bold red"}
NS_PER_S = 1_000_000_000
CHANNELS = {
    types_pb2.CHANNEL_BOOK_L2: "book",
    types_pb2.CHANNEL_TRADES: "trades",
    types_pb2.CHANNEL_TOP_OF_BOOK: "top",
    types_pb2.CHANNEL_TICKER: "ticker",
}


def health(
    venues: Venues = None,
    target: Target = TARGET_DEFAULT,
    as_json: Json = False,
) -> None:
    """Tell how a running service and its venues are, in real numbers.

    Examples:
      datafacade health
      datafacade health --venue kraken --json

    Exit codes: 0 answered, 1 no service answers, or there is no such venue.
    """
    answer = ask(target, lambda client: client.health(venues or ()))
    if as_json:
        write_json(plain(answer))
        return
    console = out()
    console.print(_heading(answer, target))
    print_table(console, _venues(answer))
    streams = _streams(answer)
    if streams.row_count:
        print_table(console, streams)
    console.print(_load(answer))
    for warning in answer.warnings:
        console.print(Text(f"warning: {clean(warning)}", style="yellow"))


def _heading(answer: health_pb2.HealthResponse, target: str) -> Text:
    status = _word(health_pb2.HealthStatus.DESCRIPTOR, answer.status)
    uptime = clock(answer.uptime_ns / NS_PER_S)
    return Text.assemble(
        (f"● {status.lower()}", STYLES.get(status, "")),
        (f"   datafacade {clean(answer.version, 32)} at {target}, up {uptime}", "dim"),
        ("   draining" if answer.is_draining else "", "bold yellow"),
    )


def _load(answer: health_pb2.HealthResponse) -> str:
    edge, limits = answer.edge, answer.limits
    pairs = f"{limits.pairs} of {limits.pairs_max} pairs"
    if not answer.HasField("edge"):
        return f"{pairs}; the reference server counts nothing itself"
    return (
        f"{edge.subscribers} subscribers on {edge.connections} connections,"
        f" {edge.updates_sent:,} updates sent, {edge.slow_readers} slow readers,"
        f" {edge.unary_calls:,} unary calls, {pairs}"
    )


def _word(enum: Enum, number: int) -> str:
    return str(word(enum, number))


def _venues(answer: health_pb2.HealthResponse) -> Table:
    table = table_of(
        *("venue", "status", "sockets", "REST", "advice", ">messages", ">trades", ">book updates"),
        *(">proofs", ">failed", ">gaps", ">reconnects", ">p50", ">p99"),
    )
    for row in answer.venues:
        status = _word(health_pb2.HealthStatus.DESCRIPTOR, row.status)
        counts = row.counts
        rest = NOTHING if not row.HasField("rest_healthy") else "yes" if row.rest_healthy else "no"
        table.add_row(
            Text(clean(row.venue), style="bold"),
            Text(status.lower(), style=STYLES.get(status, "")),
            "connected" if row.ws_connected else Text("down", style="red"),
            rest,
            _lower(_word(health_pb2.Recommendation.DESCRIPTOR, row.recommendation)),
            f"{counts.messages:,}",
            f"{counts.trades:,}",
            f"{counts.book_updates:,}",
            f"{counts.proofs_checked:,}",
            Text(f"{counts.proofs_failed:,}", style="bold red" if counts.proofs_failed else ""),
            Text(f"{counts.gaps:,}", style="bold red" if counts.gaps else ""),
            f"{counts.reconnects:,}",
            *_quantiles(row),
        )
    return table


def _quantiles(row: health_pb2.VenueHealth) -> list[str]:
    """Return median and 99th percentile from the socket to published."""
    for latency in row.latencies:
        if latency.stage == health_pb2.LATENCY_STAGE_RECV_TO_PUBLISH and latency.quantiles.count:
            return [duration(latency.quantiles.p50_ns), duration(latency.quantiles.p99_ns)]
    return [NOTHING, NOTHING]


def _streams(answer: health_pb2.HealthResponse) -> Table:
    """Return the state of each symbol's channels, side by side."""
    table = table_of("symbol", *CHANNELS.values(), "book proven by", ">proofs", ">subscribers")
    for venue in answer.venues:
        for symbol, group in groupby(venue.streams, key=lambda row: row.symbol):
            rows = {row.channel: row for row in group}
            book = rows.get(types_pb2.CHANNEL_BOOK_L2)
            proven = _word(types_pb2.Integrity.DESCRIPTOR, book.integrity) if book else ""
            table.add_row(
                Text(f"{clean(venue.venue)}:{clean(symbol)}", style="bold"),
                *(_stream(rows.get(channel)) for channel in CHANNELS),
                Text(_lower(proven)),
                f"{book.counts.proofs_checked:,}" if book else NOTHING,
                str(max(row.subscribers for row in rows.values())),
            )
    return table


def _stream(row: health_pb2.StreamHealth | None) -> Text:
    if row is None:
        return Text(NOTHING, style="dim")
    state = _word(types_pb2.State.DESCRIPTOR, row.state)
    if state == "LIVE":
        return Text("● LIVE", style="green")
    return Text(f"{state} {_lower(_word(types_pb2.StateReason.DESCRIPTOR, row.reason))}", style="yellow")


def _lower(name: str) -> str:
    """Return a word of the contract as people read it."""
    return NOTHING if name in ("", "UNSPECIFIED") else name.lower().replace("_", " ")
