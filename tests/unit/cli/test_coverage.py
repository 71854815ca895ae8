"""The words of ``datafacade coverage``."""

from __future__ import annotations

import pytest

from datafacade.cli import coverage as verb
from datafacade.cli.failure import UsageError
from datafacade.v1 import coverage_pb2, stream_pb2, types_pb2

SECOND = 10**9


def answer() -> coverage_pb2.CoverageResponse:
    """Return an hour of which a quarter is missing."""
    found = coverage_pb2.CoverageResponse(venue="kraken", symbol="BTC-USD", channel=types_pb2.CHANNEL_TRADES)
    found.spans.add(
        ts_start=0,
        ts_end=45 * 60 * SECOND,
        state=coverage_pb2.COVERAGE_STATE_COMPLETE,
        epoch=7,
        seq_first=1,
        seq_last=90,
    )
    found.spans.add(
        ts_start=45 * 60 * SECOND, ts_end=3_600 * SECOND, state=coverage_pb2.COVERAGE_STATE_NOT_COVERED
    )
    found.gaps.add(gap_id=3, state=stream_pb2.GAP_STATE_LOST, cause=stream_pb2.GAP_CAUSE_DISCONNECT)
    return found


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("15m", 900), ("1h", 3_600), ("7D", 604_800)])
def test_a_span_is_a_number_and_a_unit(text: str, seconds: int) -> None:
    assert verb.seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "0m", "1.5h", "-1h", "1w", "1h30m"])
def test_what_is_no_span_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match="expected a span like 90s"):
        verb.seconds_of(text)


def test_programs_read_words_shares_and_nulls() -> None:
    values = verb.as_values(answer())
    assert (values["channel"], values["complete_ratio"], values["is_complete"]) == ("trades", 0.75, False)
    assert [span["state"] for span in values["spans"]] == ["COMPLETE", "NOT_COVERED"]
    assert values["spans"][0]["venue_sequence_first"] is None
    assert (values["gaps"][0]["state"], values["gaps"][0]["cause"]) == ("LOST", "DISCONNECT")
    assert "served" not in values


def test_people_read_a_share_a_table_and_the_gaps(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verb, "ask", lambda _target, _question: answer())
    verb.coverage(venue="kraken", pair="BTC-USD")
    shown = capsys.readouterr().out
    assert "kraken:BTC-USD/trades" in shown
    assert "75.00% complete" in shown
    assert "not covered" in shown
    assert "gap 3 at 1970-01-01 00:00:00: an unknown number of events, disconnect; lost" in shown
