"""The configuration is checked whole at start and says where it is wrong (ROW-H10)."""

import dataclasses
from pathlib import Path

import pytest

from datafacade.config import FILES, Config, load_config
from datafacade.config.load import _DEFAULTS
from datafacade.config.strict_yaml import parse
from datafacade.errors import ConfigError

VENUE = """
version: 1
venues:
  kraken:
    feeds:
      spot: {ws_url: "wss://ws.kraken.com/v2", base_url: "https://api.kraken.com"}
"""


def load(folder: Path, **files: str) -> Config:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return load_config(folder, environment={"CANARY": "hunter2-canary"})


def refuse(folder: Path, **files: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load(folder, **files)
    return caught.value


@pytest.mark.proves("REQ-R4")
@pytest.mark.proves("REQ-G1")
@pytest.mark.proves("REQ-G2")
@pytest.mark.proves("REQ-G3")
def test_the_seven_demanded_files_exist_with_packaged_defaults() -> None:
    demanded = {"cache", "rate_limits", "circuits", "pit", "venues", "data_sources", "provider_rules"}
    assert demanded <= {name.removesuffix(".yaml") for name in FILES}
    assert all((_DEFAULTS / name).is_file() for name in FILES)


@pytest.mark.proves("REQ-A12")
def test_the_hot_defaults_are_those_demanded() -> None:
    hot = load_config(environment={}).service.hot
    assert hot.venues == ("kraken", "binance", "okx", "coinbase")
    assert (hot.max_pairs, hot.reconnect_sec, hot.buffer_size, hot.timeout_sec) == (30, 5, 1_000, 10)


@pytest.mark.proves("REQ-A13")
def test_the_warm_defaults_are_those_demanded() -> None:
    warm = load_config(environment={}).service.warm
    assert warm.venues == ("kraken", "binance", "okx", "coinbase")
    assert (warm.default_ttl_sec, warm.max_retries, warm.backoff_base_sec, warm.request_limit_per_min) == (
        30,
        3,
        1,
        100,
    )


@pytest.mark.proves("REQ-A14")
@pytest.mark.proves("REQ-K11")
@pytest.mark.proves("REQ-U5")
def test_demanded_keys_have_their_demanded_values() -> None:
    config = load_config(environment={})
    ttls = config.cache.ttls
    assert (ttls.prices_hot, ttls.prices_warm, ttls.volumes_vadr, ttls.depth_spread) == (5, 30, 120, 15)
    assert (ttls.token_meta, config.cache.max_entries) == (86_400, 10_000)
    assert config.cache.pit_snapshots.enabled
    assert config.cache.pit_snapshots.retention_hours == 24
    authority = config.data_sources.authority
    assert authority.microstructure.allowed_sources == ("binance", "okx", "coinbase", "kraken")
    assert authority.price_volume.reconciliation_method == "trimmed_median"


@pytest.mark.proves("REQ-R5")
def test_the_breaker_opens_after_five_failures_for_sixty_seconds_with_three_probes() -> None:
    breaker = load_config(environment={}).circuits.of("kraken").http
    assert (breaker.failures_to_open, breaker.open_sec, breaker.half_open_probes) == (5, 60, 3)


def test_packaged_files_spell_out_the_defaults_of_the_tree() -> None:
    config = load_config(environment={})
    for name in ("service", "circuits", "cache", "pit", "data_sources"):
        section = getattr(config, name)
        assert section == type(section)(version=1), name


def test_packaged_files_name_every_key() -> None:
    for name in ("service.yaml", "cache.yaml", "pit.yaml", "data_sources.yaml"):
        text = (_DEFAULTS / name).read_text()
        written = parse(text, file=name, environment={}).data
        section = getattr(load_config(environment={}), name.removesuffix(".yaml"))
        assert keys(written) == keys(dataclasses.asdict(section)), name


def keys(tree: object) -> object:
    return {k: keys(v) for k, v in tree.items()} if isinstance(tree, dict) else None


def test_a_file_of_the_folder_replaces_the_packaged_one_whole(tmp_path: Path) -> None:
    config = load(tmp_path, service="version: 1\nhot: {venues: [kraken], max_pairs: 2}\n", venues=VENUE)
    assert config.service.hot.max_pairs == 2
    assert config.service.hot.buffer_size == 1_000
    assert list(config.venues.venues) == ["kraken"]
    assert list(config.hot_venues()) == ["kraken"]


def test_a_venue_that_is_not_enabled_does_not_stream(tmp_path: Path) -> None:
    text = VENUE.replace("feeds:", "enabled: false\n    feeds:")
    config = load(tmp_path, service="version: 1\nhot: {venues: [kraken]}\n", venues=text)
    assert config.hot_venues() == {}


@pytest.mark.proves("REQ-G5")
@pytest.mark.proves("ROW-H10")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("version: 1\nhot:\n  max_pair: 3\n", ":3: hot.max_pair: unknown key, did you mean max_pairs"),
        ("version: 1\nhot:\n  max_pairs: -3\n", ":3: hot.max_pairs: input should be greater than"),
        ("version: 1\nhot:\n  max_pairs: 3.5\n", ":3: hot.max_pairs: input should be a valid integer"),
        ("version: 1\nhot:\n  max_pairs: '3'\n", ":3: hot.max_pairs: input should be a valid integer"),
        ("version: 1\nhot:\n  linger_sec: .nan\n", ":3: hot.linger_sec: expected a finite number"),
        ("version: 1\nhot:\n  venues: [kraken, kraken]\n", ":3: hot.venues: venue kraken stands twice"),
        ("version: 1\nhot:\n  venues: [mtgox]\n", ":3: hot.venues: venue mtgox has no section in venues"),
        ("version: 1\nwarm:\n  venues: [okx, okx]\n", ":3: warm.venues: venue okx stands twice"),
        ("version: 1\nwarm:\n  venues: [mtgox]\n", ":3: warm.venues: mtgox is neither in venues.yaml"),
        ("version: 1\nwarm:\n  venues: [binance-usdm]\n", ":3: warm.venues: expected binance, which"),
        ("version: 1\nwarm:\n  request_limit_per_min: 59\n", ":3: warm.request_limit_per_min: input should"),
        ("version: 1\nwarm:\n  max_retries: 4\n", ":3: warm.max_retries: input should be less"),
        ("version: 2\n", ":1: version: input should be 1, received 2"),
        ("hot: {}\n", ":1: version: missing key"),
        ("version: 1\nhot:\n  feed:\n    ack_tries: 0\n", ":4: hot.feed.ack_tries: input should be greater"),
        ("version: 1\nlog:\n  level: ${CANARY}\n", ":3: log.level: input should be"),
        ("version: 1\nlog:\n  level: ${SECRET}\n", ":3: log.level: environment variable SECRET is not set"),
    ],
)
def test_a_bad_value_is_named_with_file_line_and_key(tmp_path: Path, text: str, message: str) -> None:
    error = refuse(tmp_path, service=text)
    assert message in str(error)
    assert str(error).startswith(str(tmp_path / "service.yaml"))
    assert "hunter2" not in str(error)


@pytest.mark.proves("ROW-H10")
def test_a_venue_that_stands_twice_is_refused(tmp_path: Path) -> None:
    again = VENUE + VENUE.split("venues:\n", 1)[1]
    assert "venues.kraken: key stands twice, first in line 4" in str(refuse(tmp_path, venues=again))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("klines_ttls: {7x: 1}", "klines_ttls.7x"),
        ("klines_ttls: {1m: 0}", "klines_ttls.1m: input should be greater"),
        ("prices_hot_hit_ratio_min: 1.5", "prices_hot_hit_ratio_min: input should be less"),
        ("max_entries: 0", "max_entries: input should be greater"),
        ("ttls: {candles: 5}", "ttls.candles: unknown key"),
    ],
)
def test_a_bad_value_of_the_cache_is_named(tmp_path: Path, text: str, message: str) -> None:
    assert message in str(refuse(tmp_path, cache=f"version: 1\n{text}\n"))


@pytest.mark.proves("REQ-G4")
def test_no_error_and_no_repr_shows_a_secret(tmp_path: Path) -> None:
    rules = (
        "version: 1\nproviders:\n  fmp: {requests_per_min: 1, data_quality: 1, reliability: 1, api_key: %s}\n"
    )
    config = load(tmp_path, provider_rules=rules % '"${CANARY}"')
    assert "hunter2" not in repr(config)
    assert config.provider_rules.providers["fmp"].api_key.get_secret_value() == "hunter2-canary"
    (tmp_path / "provider_rules.yaml").write_text(rules % "[hunter2-literal]")
    assert "hunter2" not in str(refuse(tmp_path))


@pytest.mark.proves("CTL-S23")
@pytest.mark.parametrize("key", ["ws_url", "base_url"])
def test_plain_text_upstreams_need_an_explicit_switch(tmp_path: Path, key: str) -> None:
    plain = VENUE.replace("wss:", "ws:") if key == "ws_url" else VENUE.replace("https:", "http:")
    service = "version: 1\nhot: {venues: [kraken]}\n"
    error = refuse(tmp_path, venues=plain, service=service)
    assert f"venues.kraken.feeds.spot.{key}" in str(error)
    assert error.line == 6
    load(tmp_path, venues=plain + "allow_private_upstream: true\n", service=service)


@pytest.mark.proves("CTL-S23")
def test_a_url_of_another_scheme_is_refused(tmp_path: Path) -> None:
    assert "url scheme" in str(refuse(tmp_path, venues=VENUE.replace("wss:", "file:"))).lower()


def test_a_stray_file_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    assert "did you mean venues.yaml" in str(refuse(tmp_path, venue="version: 1\n"))


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such folder"):
        load_config(tmp_path / "nowhere")


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pit.yaml").write_bytes(b"\xff\xfe\x00")
    assert "cannot be read" in str(refuse(tmp_path))


@pytest.mark.proves("REQ-L1")
def test_a_venue_outside_the_authority_table_may_not_stream(tmp_path: Path) -> None:
    sources = "version: 1\nauthority: {microstructure: {allowed_sources: [okx]}}\n"
    assert "kraken is not in authority" in str(refuse(tmp_path, data_sources=sources))


def test_a_streaming_venue_needs_limits(tmp_path: Path) -> None:
    assert "no section in rate_limits.yaml" in str(refuse(tmp_path, rate_limits="version: 1\nvenues: {}\n"))


def test_one_factor_scales_the_waits(tmp_path: Path) -> None:
    config = load(tmp_path, service="version: 1\ntimers: {scale: 0.1}\n")
    assert config.scaled(30) == pytest.approx(3.0)
