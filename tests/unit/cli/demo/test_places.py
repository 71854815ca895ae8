"""The service of the demo asks nobody but the simulator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import yaml

from datafacade.cli.demo.places import swapped, venues_yaml
from datafacade.config import load_config

PRODUCTS = {
    "binance": ("spot", "usdm", "coinm"),
    "okx": ("public",),
    "coinbase": ("advanced", "exchange"),
    "kraken": ("spot",),
}
PORTS = {
    venue: {
        product: {"ws": f"ws://127.0.0.1:1{len(venue)}{at}1", "rest": f"http://127.0.0.1:1{len(venue)}{at}2"}
        for at, product in enumerate(products)
    }
    for venue, products in PRODUCTS.items()
}


def urls(node: Any) -> Iterator[str]:  # noqa: ANN401  YAML
    if isinstance(node, dict):
        for value in node.values():
            yield from urls(value)
    elif isinstance(node, str) and "://" in node:
        yield node


def test_every_url_leads_to_the_simulator() -> None:
    hosts = {urlsplit(url).hostname for url in urls(yaml.safe_load(venues_yaml(PORTS)))}
    assert hosts == {"127.0.0.1"}


def test_paths_stay_and_products_keep_their_ports() -> None:
    tree = yaml.safe_load(venues_yaml(PORTS))["venues"]
    usdm, okx = tree["binance-usdm"]["feeds"]["usdm"], tree["okx"]["feeds"]["public"]
    assert usdm["ws_url"] == PORTS["binance"]["usdm"]["ws"] + "/public/stream"
    assert okx["ws_url"] == PORTS["okx"]["public"]["ws"] + "/ws/v5/public"
    assert okx["base_url"] == PORTS["okx"]["public"]["rest"]


def test_the_service_accepts_it(tmp_path: Any) -> None:  # noqa: ANN401  Path
    (tmp_path / "venues.yaml").write_text(venues_yaml(PORTS))
    assert load_config(tmp_path).venues.allow_private_upstream


def test_a_query_stays_behind_the_swapped_host() -> None:
    assert swapped("https://a.example:9443/p?q=1", "http://127.0.0.1:5") == "http://127.0.0.1:5/p?q=1"
