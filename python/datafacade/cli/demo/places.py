"""Point the service at simulated venues: the packaged ``venues.yaml`` with other hosts."""

from __future__ import annotations

import importlib.resources
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import yaml

Ports = Mapping[str, Mapping[str, Mapping[str, str]]]  # venue, product, "ws" or "rest": URL

_DEFAULTS: Final = importlib.resources.files("datafacade.config") / "defaults" / "venues.yaml"


def venues_yaml(ports: Ports) -> str:
    """Return the packaged ``venues.yaml`` with scheme and host of each URL swapped to the simulator's.

    Args:
        ports: ``venues`` of the simulator's ports.
    """
    return yaml.safe_dump(moved(packaged_venues(), ports), sort_keys=False)


def packaged_venues() -> dict[str, Any]:
    """Return the tree of the packaged ``venues.yaml``."""
    tree: dict[str, Any] = yaml.safe_load(_DEFAULTS.read_text(encoding="utf-8"))
    return tree


def moved(tree: Mapping[str, Any], ports: Ports) -> dict[str, Any]:
    """Return the tree of ``venues.yaml`` with each feed at the simulator."""
    venues = {}
    for venue, settings in tree["venues"].items():
        places = ports[venue.partition("-")[0]]
        feeds = {product: _feed(urls, places[product]) for product, urls in settings["feeds"].items()}
        venues[venue] = {**settings, "feeds": feeds}
        if "rests" in settings:  # hosts without a stream: the simulator serves them beside the first feed
            place = places[next(iter(feeds))]["rest"]
            venues[venue]["rests"] = {name: swapped(url, place) for name, url in settings["rests"].items()}
    return {**tree, "allow_private_upstream": True, "venues": venues}


def _feed(urls: Mapping[str, Any], places: Mapping[str, str]) -> dict[str, Any]:
    return {
        **urls,
        "ws_url": swapped(urls["ws_url"], places["ws"]),
        "base_url": swapped(urls["base_url"], places["rest"]),
    }


def swapped(url: str, place: str) -> str:
    """Return ``url`` with scheme and host of ``place``.

    Example:
        >>> swapped("wss://ws.kraken.com/v2", "ws://127.0.0.1:4711")
        'ws://127.0.0.1:4711/v2'
    """
    scheme, host, *_ = urlsplit(place)
    return urlunsplit((scheme, host, *urlsplit(url)[2:]))
