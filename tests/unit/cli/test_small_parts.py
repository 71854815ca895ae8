"""Messages as plain values, searches, pairs, bars."""

import io
import json

import pytest
from rich.console import Console
from rich.table import Table

from datafacade.cli.book import as_values, bar
from datafacade.cli.instruments import letters, matches
from datafacade.cli.main import VERBS, help_of
from datafacade.cli.message import plain
from datafacade.cli.output import print_table
from datafacade.cli.pairs import usual_pairs
from datafacade.client.mirror import Mirror
from datafacade.v1 import book_pb2, health_pb2, reference_pb2, types_pb2
from tests.unit.client.make import RECEIVED, cut


def test_a_message_becomes_values_with_words_for_enums_and_null_for_what_is_absent() -> None:
    stream = health_pb2.StreamHealth(
        symbol="BTC-USD", channel=types_pb2.CHANNEL_BOOK_L2, state=types_pb2.STATE_LIVE, seq_head=2**63
    )
    values = plain(health_pb2.VenueHealth(venue="kraken", streams=[stream], rest_healthy=False))
    assert (values["venue"], values["rest_healthy"], values["error_ratio"]) == ("kraken", False, None)
    assert values["recommendation"] == "UNSPECIFIED"
    told = values["streams"][0]
    assert (told["channel"], told["state"], told["seq_head"], told["close_code"]) == (
        "BOOK_L2",
        "LIVE",
        2**63,
        None,
    )
    assert json.loads(json.dumps(values)) == values


def test_bytes_become_hex_and_unknown_enum_numbers_stay_numbers() -> None:
    answer = book_pb2.L2BookResponse(checkpoint=book_pb2.Checkpoint(sha256=b"\x00\xff"))
    answer.state = types_pb2.State.ValueType(77)
    values = plain(answer)
    assert (values["checkpoint"]["sha256"], values["state"]) == ("00ff", 77)


def test_a_book_for_programs_has_exact_texts() -> None:
    mirror = Mirror("kraken")
    base = cut(7, {"10.50": "0.10000000"}, {}, integrity=types_pb2.INTEGRITY_CHECKSUM)
    mirror.on_snapshot(base)
    values = as_values(mirror.view(base, "LIVE", RECEIVED))
    assert values["bids"] == [["10.50", "0.10000000"]]
    assert (values["asks"], values["spread"], values["seq"], values["integrity"]) == ([], None, 7, "CHECKSUM")
    json.dumps(values)


@pytest.mark.parametrize(
    ("search", "is_found"),
    [("", True), ("btc", True), ("xbt/usd", True), ("BTC-USD", True), ("usdbtc", False), ("tether", False)],
)
def test_instruments_are_found_by_any_spelling(search: str, is_found: bool) -> None:
    row = reference_pb2.Instrument(symbol="BTC-USD", venue_symbol="BTC/USD", aliases=["XBT/USD"])
    assert matches(row, search) is is_found


def test_letters_are_what_counts_in_a_search() -> None:
    assert letters("xbt/usd.p") == "XBTUSDP"


def test_pairs_are_quoted_as_each_venue_does() -> None:
    assert usual_pairs(["binance", "coinbase"], ["ETH"]) == [
        ("binance", ["ETH-USDT"]),
        ("coinbase", ["ETH-USD"]),
    ]


@pytest.mark.parametrize(
    ("share", "drawn"), [(0, ""), (0.5, "█" * 7), (1, "█" * 14), (2, "█" * 14), (1 / 28, "▌")]
)
def test_bars_are_as_long_as_their_share(share: float, drawn: str) -> None:
    assert bar(share) == drawn


def test_a_table_keeps_its_figures_on_a_narrow_screen() -> None:
    console = Console(file=io.StringIO(), width=30)
    table = Table("name", "price")
    table.add_row("a name of some length", "65,083.601234567890123")
    print_table(console, table)
    file = console.file
    assert isinstance(file, io.StringIO)
    assert "65,083.601234567890123" in file.getvalue()
    assert "…" not in file.getvalue()


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.__name__)
def test_each_verb_has_examples_and_says_what_it_does_in_one_line(verb: object) -> None:
    text = help_of(verb)  # type: ignore[arg-type]
    first = text.splitlines()[0]
    assert first.endswith(".")
    assert len(first) <= 100
    examples = text.partition("Examples:\n")[2].partition("\n\n")[0].splitlines()
    assert examples
    assert all(line.startswith("  datafacade ") for line in examples)
    assert all(len(line.partition("  #")[0]) <= 77 for line in examples), "fits 80 columns"
