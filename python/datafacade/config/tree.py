"""Join the files into one tree and check what no single file can know."""

from dataclasses import dataclass
from typing import Final

from datafacade.config.aggregators import Aggregators
from datafacade.config.service import Service
from datafacade.config.sources import Cache, DataSources, Pit, ProviderRules
from datafacade.config.upstream import Circuits, RateLimits, Venue, Venues
from datafacade.errors import ConfigError

FLOOR_RATIO_MAX: Final = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything that can be set."""

    service: Service
    venues: Venues
    rate_limits: RateLimits
    circuits: Circuits
    cache: Cache
    pit: Pit
    data_sources: DataSources
    provider_rules: ProviderRules
    aggregators: Aggregators

    def hot_venues(self) -> dict[str, Venue]:
        """Return the venues that stream: listed in ``hot.venues`` and enabled, in that order."""
        return {
            name: self.venues.venues[name]
            for name in self.service.hot.venues
            if self.venues.venues[name].enabled
        }

    def share_ratio(self, source: str) -> float:
        """Return our part of a source's budget; of a venue at least what the warm tier is to have.

        That floor never takes more than ``FLOOR_RATIO_MAX``: the rest keeps us off the venue's limit.
        """
        share = self.rate_limits.share_ratio
        if source in self.aggregators.aggregators:
            return share
        per_min = min(
            window.limit * 60 / window.seconds for window in self.rate_limits.venues[source].rest.windows
        )
        floor = self.service.warm.request_limit_per_min / per_min
        return max(share, min(floor, FLOOR_RATIO_MAX))

    def scaled(self, seconds: float) -> float:
        """Return a wait of the hot path in this run's seconds."""
        return seconds * self.service.timers.scale


def family(venue: str) -> str:
    """Return the house that runs a venue: ``binance`` for ``binance-usdm``."""
    return venue.partition("-")[0]


def check(config: Config) -> None:
    """Refuse a tree whose files contradict each other.

    Raises:
        ConfigError: A streaming venue is doubled, unknown, without limits, not allowed, or on an unsafe URL;
            or a request can never be made because it weighs more than our share of a window.
    """
    seen: set[str] = set()
    allowed = config.data_sources.authority.microstructure.allowed_sources
    for name in config.service.hot.venues:
        problem = ""
        if name in seen:
            problem = f"venue {name} stands twice"
        elif name not in config.venues.venues:
            problem = f"venue {name} has no section in venues.yaml"
        elif name not in config.rate_limits.venues:
            problem = f"venue {name} has no section in rate_limits.yaml"
        elif family(name) not in allowed:
            problem = f"{name} is not in authority.microstructure.allowed_sources of data_sources.yaml"
        if problem:
            raise ConfigError("service.yaml", 0, "hot.venues", problem)
        seen.add(name)
    _check_warm(config)
    _check_weights(config)
    _check_pit(config)
    if not config.venues.allow_private_upstream:
        _check_schemes(config.venues)
        _check_aggregators(config.aggregators)


def _check_warm(config: Config) -> None:
    known = {
        *config.data_sources.authority.microstructure.allowed_sources,
        *map(family, config.venues.venues),
    }
    names = config.service.warm.venues
    for name in names:
        problem = ""
        if names.count(name) > 1:
            problem = f"venue {name} stands twice"
        elif name != family(name):
            problem = f"expected {family(name)}, which stands for all its products, received {name}"
        elif name not in known:
            problem = f"{name} is neither in venues.yaml nor in authority.microstructure of data_sources.yaml"
        if problem:
            raise ConfigError("service.yaml", 0, "warm.venues", problem)


def _check_pit(config: Config) -> None:
    if config.pit.redis_index and not config.cache.redis.url.get_secret_value():
        raise ConfigError("pit.yaml", 0, "redis_index", "expected redis.url in cache.yaml, which is empty")
    if config.pit.format == "json.gz" and config.pit.compression != "gzip":
        problem = f"format json.gz is gzip; {config.pit.compression} packs tables, with format parquet"
        raise ConfigError("pit.yaml", 0, "compression", problem)


def _check_weights(config: Config) -> None:
    for name, venue in config.rate_limits.venues.items():
        smallest = min(window.limit for window in venue.rest.windows) * config.share_ratio(name)
        for path, weight in venue.rest.weights.items():
            heaviest = weight if isinstance(weight, int) else weight.heaviest
            if heaviest > max(1.0, smallest) and path not in venue.rest.endpoints:
                problem = f"{path} weighs {heaviest}, our share of a window is {smallest:g}"
                raise ConfigError("rate_limits.yaml", 0, f"venues.{name}.rest.weights", problem)


def _check_schemes(venues: Venues) -> None:
    for name, venue in venues.venues.items():
        urls = {f"rests.{host}": url for host, url in venue.rests.items()}
        for feed, endpoint in venue.feeds.items():
            urls |= {f"feeds.{feed}.ws_url": endpoint.ws_url, f"feeds.{feed}.base_url": endpoint.base_url}
        for key, url in urls.items():
            if url.scheme not in ("wss", "https"):
                problem = "expected TLS (wss, https); plain text needs allow_private_upstream: true"
                raise ConfigError("venues.yaml", 0, f"venues.{name}.{key}", problem)


def _check_aggregators(aggregators: Aggregators) -> None:
    for name, aggregator in aggregators.aggregators.items():
        if aggregator.base_url.scheme != "https":
            problem = "expected TLS (https); plain text needs allow_private_upstream: true"
            raise ConfigError("aggregators.yaml", 0, f"aggregators.{name}.base_url", problem)
