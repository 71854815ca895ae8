"""Decide who may give what (REQUIREMENTS 5). Pure: ``data_sources.yaml`` in, a refusal or sources out.

The first guard is a type: an aggregator's adapter has no method that could return a book or a trade. This is
the second one, for names that come in requests: it says no before anybody is asked. There is no fallback.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from datafacade.config.sources import DataSources, Native
from datafacade.config.tree import family
from datafacade.errors import AggregatorBanned, InvalidRequest


class DataKind(StrEnum):
    """Kinds of data, as an error names them."""

    BOOK = "books"
    TRADES = "trades"
    KLINES = "klines"
    TICKER = "tickers"
    FUNDING = "funding"
    PRICE = "prices"


_DERIVATIVES: Final = frozenset({DataKind.FUNDING})


class Authority:
    """The authority table."""

    def __init__(self, sources: DataSources) -> None:
        self._table = sources.authority
        self._is_native_only = sources.exchange_native_only
        banned = (*self._table.microstructure.banned_sources, *self._table.derivatives.banned_sources)
        self.aggregators: Final = tuple(sorted(set(banned)))  # sources that average over venues

    def require(self, kind: DataKind, source: str) -> None:
        """Let pass a source that may give such data; PRICE: as by default, see :meth:`price_sources`.

        Raises:
            AggregatorBanned: It is an aggregator.
            InvalidRequest: It is no source that may.
        """
        if kind is DataKind.PRICE:
            self.price_sources([source])
            return
        native = self._native(kind)
        if family(source) in (*self.aggregators, *native.banned_sources):
            raise AggregatorBanned(source, kind.value, venue=source)
        if family(source) not in native.allowed_sources:
            expected = ", ".join(native.allowed_sources)
            raise InvalidRequest(
                "venue", f"expected one of {expected} for {kind.value}, received {source[:64]!r}"
            )

    def venues(self, kind: DataKind) -> tuple[str, ...]:
        """Return the venues that may give such data; of prices those that are asked beside aggregators."""
        if kind is DataKind.PRICE:
            return self._table.price_volume.fallback
        return self._native(kind).allowed_sources

    def price_sources(
        self, requested: Sequence[str] = (), *, exchange_native_only: bool = False
    ) -> tuple[str, ...]:
        """Return whom to ask for a reconciled price, sorted: the requested ones, or all that are configured.

        Args:
            requested: Sources by name; empty: those of the configuration.
            exchange_native_only: Whether this request leaves aggregators out; the configuration may for all.

        Raises:
            AggregatorBanned: An aggregator was asked for by name where none takes part.
            InvalidRequest: A source is none of the configuration.
        """
        prices = self._table.price_volume
        is_native_only = exchange_native_only or self._is_native_only
        known = {*prices.primary, *prices.fallback}
        allowed = known - set(self.aggregators) if is_native_only else known
        for source in requested:
            if family(source) in self.aggregators and source not in allowed:
                raise AggregatorBanned(source, DataKind.PRICE.value, venue=source)
            if family(source) not in allowed:
                expected = ", ".join(sorted(allowed))
                raise InvalidRequest("sources", f"expected some of {expected}, received {source[:64]!r}")
        return tuple(sorted(set(requested) or allowed))

    def _native(self, kind: DataKind) -> Native:
        return self._table.derivatives if kind in _DERIVATIVES else self._table.microstructure
