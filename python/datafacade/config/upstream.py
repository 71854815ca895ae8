"""Shape ``venues.yaml``, ``rate_limits.yaml``, ``circuits.yaml``: where venues are, how they are spared."""

from dataclasses import field
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from datafacade.config.fields import (
    STRICT,
    Bytes,
    Count,
    Milliseconds,
    MillisecondsOrNone,
    Name,
    Ratio,
    RestUrl,
    Seconds,
    SocketUrl,
    Text,
    Version,
)

# venues.yaml


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class FeedEndpoint:
    """Where one feed of a venue lives."""

    ws_url: SocketUrl
    base_url: RestUrl


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Venue:
    """One venue."""

    feeds: Annotated[dict[Name, FeedEndpoint], Field(min_length=1)]
    rests: dict[Name, RestUrl] = field(default_factory=dict)  # REST hosts beside those of the feeds
    enabled: bool = True
    message_bytes_max: Bytes = 16 * 2**20  # of one WebSocket message
    liveness_ms: Milliseconds = 3_000  # no frame for so long: the connection is dead
    ping_ms: MillisecondsOrNone = 0  # interval of the venue's own ping message; 0: the venue needs none
    keepalive_ms: MillisecondsOrNone = 5_000  # interval of our WebSocket pings; 0: none
    keepalive_timeout_ms: Milliseconds = 5_000  # a pong missing for so long: the line is dead
    lifetime_ms: MillisecondsOrNone = 0  # the venue cuts a connection after so long; 0: it does not
    send_ms: MillisecondsOrNone = 0  # shortest time between two of our messages; 0: no rule


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Venues:
    """The file as a whole."""

    version: Version
    venues: Annotated[dict[Name, Venue], Field(min_length=1)]
    user_agent: Text = "datafacade/0.1"  # Coinbase and OKX refuse requests without one
    allow_private_upstream: bool = False  # private addresses, ws:// and http://: simulator and tests only


# rate_limits.yaml


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Window:
    """So much in any span of so many seconds."""

    limit: Annotated[int, Field(ge=1, le=2**63 - 1)]
    seconds: Seconds


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class WeightStep:
    """What a request costs whose parameter is at most so large."""

    upto: Annotated[int, Field(ge=0, le=1_000_000)]
    weight: Count


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class ParameterWeight:
    """A weight that a parameter of the query decides: by its number, or by being there."""

    parameter: Text
    absent: Count  # without the parameter
    present: Count = 1  # with it, where there are no steps
    steps: tuple[WeightStep, ...] = ()  # in ascending order; beyond the last one, and for words, the dearest

    @property
    def heaviest(self) -> int:
        """The most that such a request costs."""
        return max(self.absent, self.present, *(step.weight for step in self.steps))


Weight = Count | ParameterWeight


Windows = Annotated[tuple[Window, ...], Field(min_length=1)]


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class RestBudget:
    """A venue's documented REST budget."""

    windows: Windows
    per_endpoint: bool = False  # True: each path has its own budget
    endpoints: dict[Text, Windows] = field(default_factory=dict)  # paths with a budget of their own
    per_parameter: dict[Text, Text] = field(default_factory=dict)  # path: parameter; a budget for each value
    weights: dict[Text, Weight] = field(default_factory=dict)  # of a path; 1 where nothing is said
    used_header: str = ""  # answer header that tells the weight used; with -1M, -10S, -1D: of that window
    remaining_header: str = ""  # answer header that tells what is left of the first window
    limit_header: str = ""  # answer header that tells its limit
    pause_sec: Seconds = 2.0  # after a limit that does not say how long


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class VenueLimits:
    """What one venue allows."""

    rest: RestBudget
    connections: Windows = (Window(limit=1, seconds=1.0),)  # dials; already below the venue's limit


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class RateLimits:
    """The file as a whole."""

    version: Version
    venues: dict[Name, VenueLimits]
    share_ratio: Annotated[Ratio, Field(gt=0)] = 0.8  # of a REST budget that we spend


# circuits.yaml


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Breaker:
    """One circuit breaker."""

    failures_to_open: Count = 5
    open_sec: Seconds = 60.0
    open_jitter_ratio: Ratio = 0.1
    open_factor: Annotated[float, Field(ge=1, le=10)] = 2.0  # a failed probe multiplies the wait
    open_sec_max: Seconds = 600.0
    half_open_probes: Count = 3
    probe_timeout_sec: Seconds = 2.0


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class VenueCircuits:
    """Breakers of one venue."""

    http: Breaker = field(default_factory=Breaker)
    websocket: Breaker = field(default_factory=Breaker)


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Circuits:
    """The file as a whole."""

    version: Version
    defaults: VenueCircuits = field(default_factory=VenueCircuits)
    venues: dict[Name, VenueCircuits] = field(default_factory=dict)  # where one differs

    def of(self, venue: str) -> VenueCircuits:
        """Return the breakers of a venue."""
        return self.venues.get(venue, self.defaults)
