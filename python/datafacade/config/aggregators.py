"""Shape ``aggregators.yaml``: where aggregators are, and what they call our assets."""

from typing import Annotated

from pydantic import Field, StringConstraints
from pydantic.dataclasses import dataclass

from datafacade.config.fields import STRICT, Name, RestUrl, Seconds, Text, Version

Asset = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{1,16}$")]
CoinId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,127}$")]


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Aggregator:
    """One aggregator. Symbols are not unique there, so every asset is pinned to its id."""

    base_url: RestUrl
    ids: Annotated[dict[Asset, CoinId], Field(min_length=1, max_length=250)]
    currencies: Annotated[tuple[Asset, ...], Field(min_length=1)]
    refresh_sec: Seconds  # how long its table is taken for new: it caches for as long itself
    attribution: Text  # what its licence wants beside its figures
    attribution_url: RestUrl
    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Aggregators:
    """The file as a whole."""

    version: Version
    aggregators: dict[Name, Aggregator]
