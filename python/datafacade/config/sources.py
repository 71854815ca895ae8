"""Shape ``cache.yaml``, ``pit.yaml``, ``data_sources.yaml`` and ``provider_rules.yaml``."""

from dataclasses import field
from typing import Annotated, Literal

from pydantic import Field, StringConstraints
from pydantic.dataclasses import dataclass

from datafacade.config.fields import (
    STRICT,
    Bytes,
    Count,
    Name,
    Ratio,
    Seconds,
    SecondsOrNone,
    Secret,
    Text,
    Version,
)

# cache.yaml


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Ttls:
    """Time to live per class, seconds."""

    prices_hot: Seconds = 5
    prices_warm: Seconds = 30
    volumes_vadr: Seconds = 120
    token_meta: Seconds = 86_400
    depth_spread: Seconds = 15
    funding: Seconds = 300


Interval = Annotated[str, StringConstraints(pattern=r"^([1-9][0-9]{0,4}[smhdw]|1M)$")]


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Redis:
    """The optional second tier. Without a URL there is none."""

    url: Secret = Secret("")
    key_prefix: Text = "cryptorun:"
    pool_size: Count = 10


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class PitSnapshots:
    """Whether warm answers are kept, and for how long."""

    enabled: bool = True
    retention_hours: Count = 24


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Cache:
    """The file as a whole."""

    version: Version
    ttls: Ttls = field(default_factory=Ttls)
    klines_ttls: dict[Interval, Seconds] = field(
        default_factory=lambda: {"1m": 15.0, "5m": 60.0, "1h": 300.0, "1d": 1_800.0}
    )  # with the open bar in it an answer lives as long as prices_warm at most
    max_entries: Count = 10_000
    hit_ratio_min: Ratio = 0.75  # of all classes together; below it Health warns
    prices_hot_hit_ratio_min: Ratio = 0.8  # likewise, of this class alone
    redis: Redis = field(default_factory=Redis)
    pit_snapshots: PitSnapshots = field(default_factory=PitSnapshots)


# pit.yaml


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Pit:
    """The file as a whole."""

    version: Version
    base_path: Text = "artifacts/pit"
    format: Literal["json.gz", "parquet"] = "json.gz"  # parquet: large answers of rows as tables too
    compression: Literal["gzip", "zstd"] = "gzip"  # zstd: of tables alone
    retention_hours: Count = 24
    bytes_max: Bytes = 10 * 2**30
    books_sec: SecondsOrNone = 60  # between two snapshots of a followed book; 0: none
    scrub_hours: Annotated[float, Field(ge=0, le=8_784)] = (
        24  # in which everything kept is read once; 0: never
    )
    redis_index: bool = False  # references by time in the Redis of cache.yaml


# data_sources.yaml


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Native:
    """A kind of data that only venues may give."""

    allowed_sources: tuple[Name, ...]
    banned_sources: tuple[Name, ...] = ("coingecko", "coinpaprika")


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class PriceVolume:
    """The one kind of data in which aggregators take part."""

    primary: tuple[Name, ...] = ("coingecko", "coinpaprika")
    fallback: tuple[Name, ...] = ("binance", "okx", "coinbase", "kraken")
    reconciliation_method: Literal["trimmed_median", "trimmed_mean"] = "trimmed_median"
    deviation_ratio_max: Annotated[float, Field(gt=0, le=0.25)] = 0.01  # from the first median
    sources_min: Annotated[int, Field(ge=2, le=100)] = 2  # that must be left
    confidence_ratio_min: Ratio = 0.7  # below it nothing is answered
    trim_ratio: Annotated[float, Field(ge=0, le=0.5)] = 0.1  # of trimmed_mean, half at each end
    age_sec_max: Seconds = 30  # of a price whose source has no limit of its own
    age_sec_max_by_source: dict[Name, Seconds] = field(
        default_factory=lambda: {
            "coingecko": 120.0,
            "coinpaprika": 600.0,
        }  # they are told anew once in minutes
    )


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Authority:
    """Who may give what."""

    microstructure: Native = field(
        default_factory=lambda: Native(allowed_sources=("binance", "okx", "coinbase", "kraken"))
    )
    derivatives: Native = field(default_factory=lambda: Native(allowed_sources=("binance", "okx", "kraken")))
    price_volume: PriceVolume = field(default_factory=PriceVolume)


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class DataSources:
    """The file as a whole."""

    version: Version
    authority: Authority = field(default_factory=Authority)
    exchange_native_only: bool = False


# provider_rules.yaml


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Rule:
    """Whom to ask, and whom next."""

    primary: Name
    backup: tuple[Name, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Provider:
    """What is known of one provider."""

    requests_per_min: Count
    data_quality: Annotated[int, Field(ge=1, le=5)]
    reliability: Annotated[int, Field(ge=1, le=5)]
    api_key: Secret = Secret("")  # written as ${NAME:}, never in the file


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Failover:
    """How a failing provider is left."""

    retries: Annotated[int, Field(ge=0, le=3)] = 3
    delay_sec: Seconds = 1.0


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class ProviderRules:
    """The file as a whole."""

    version: Version
    rules: dict[Name, Rule] = field(default_factory=dict)
    providers: dict[Name, Provider] = field(default_factory=dict)
    failover: Failover = field(default_factory=Failover)
    quality_score_min: Ratio = 0.8
