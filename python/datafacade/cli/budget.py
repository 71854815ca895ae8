"""``datafacade budget``: what each venue still allows, when it is full again, and what is left alone."""

from __future__ import annotations

from typing import Any, Final

from rich.table import Table
from rich.text import Text

from datafacade.cli.ask import TARGET_DEFAULT, Json, Target, Venues, ask
from datafacade.cli.message import plain, word
from datafacade.cli.output import out, print_table, table_of, write_json
from datafacade.cli.text import NOTHING, clean, span
from datafacade.v1 import health_pb2

SCARCE_RATIO: Final = 0.2
STATES: Final = {"CLOSED": "green", "HALF_OPEN": "yellow", "OPEN": "bold red"}
NS_PER_MS: Final = 1_000_000


def budget(
    venues: Venues = None,
    target: Target = TARGET_DEFAULT,
    as_json: Json = False,
) -> None:
    """Print what each venue and aggregator still allows, reset timers, back-off and breakers, all live.

    Examples:
      datafacade budget
      datafacade budget --venue kraken --json

    Exit codes: 0 answered, 1 no service answers, or there is no such venue.
    """
    answer = ask(target, lambda client: client.health(venues or (), summary_only=True))
    if as_json:
        write_json(as_values(answer))
        return
    console = out()
    print_table(console, budgets_table(answer))
    print_table(console, breakers_table(answer))


def as_values(answer: health_pb2.HealthResponse) -> dict[str, Any]:
    """Return budgets and breakers for programs; times are ns UTC, 0: not running."""
    return {
        "ts_measured": answer.ts_measured,
        "venues": {
            venue.venue: {
                "budgets": [plain(row) for row in venue.rate_limits],
                "breakers": [plain(row) for row in venue.breakers],
            }
            for venue in hosts(answer)
        },
    }


def hosts(answer: health_pb2.HealthResponse) -> list[health_pb2.VenueHealth]:
    """Return all that have budgets: venues first, then aggregators."""
    return [*answer.venues, *answer.aggregators]


def budgets_table(answer: health_pb2.HealthResponse) -> Table:
    """Return a row for each budget, by the clock of the service."""
    table = table_of("venue", "budget", ">left", ">of", ">per", ">full again in", ">back-off")
    for venue in hosts(answer):
        for row in venue.rate_limits:
            is_scarce = row.remaining <= SCARCE_RATIO * row.limit
            backoff = left_of(row.ts_backoff_until, answer.ts_measured)
            table.add_row(
                Text(clean(venue.venue, 32), style="bold"),
                Text(clean(row.budget, 40)),
                Text(f"{row.remaining:,}", style="bold red" if is_scarce else "green"),
                f"{row.limit:,}",
                span(row.window_ms * NS_PER_MS),
                left_of(row.ts_reset, answer.ts_measured),
                Text(backoff, style="" if backoff == NOTHING else "bold yellow"),
            )
    return table


def breakers_table(answer: health_pb2.HealthResponse) -> Table:
    """Return a row for each circuit breaker."""
    table = table_of("venue", "breaker", "state", ">failures in a row", ">next probe in")
    for venue in hosts(answer):
        for row in venue.breakers:
            state = str(word(health_pb2.BreakerState.DESCRIPTOR, row.state))
            table.add_row(
                Text(clean(venue.venue, 32), style="bold"),
                Text(clean(row.transport, 40)),
                Text(state.lower().replace("_", " "), style=STATES.get(state, "")),
                f"{row.failures:,}",
                left_of(row.ts_retry, answer.ts_measured),
            )
    return table


def left_of(ts_until: int, now: int) -> str:
    """Return how long it is until a time; a dash if it has passed, or is none.

    Example:
        >>> left_of(3_000_000_000, 1_000_000_000), left_of(0, 5)
        ('2.00 s', '-')
    """
    return span(ts_until - now) if ts_until > now else NOTHING
