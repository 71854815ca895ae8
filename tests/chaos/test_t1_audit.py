"""The audit of books against REST, from outside the process: hidden damage is found, right books are left."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

import pytest

from datafacade.check.names import BOOK, Topic
from datafacade.check.story import Told, is_state
from datafacade.v1 import types_pb2
from tests.chaos.harness.bed import Bed, Plan
from tests.chaos.harness.lively import PLACES
from tests.chaos.harness.wait import COMES_S, until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

AUDIT_MS: Final = 4_000
WINDOW_MS: Final = 1_500  # Coinbase keeps a REST answer for 1 s
CONFIRM_MS: Final = 2_000
FOUND_S: Final = 60.0  # two books take turns, a changed digit may be healed, and an audit may say nothing
FAILED: Final = types_pb2.STATE_REASON_AUDIT_FAILED
CALM: Final = 4.0  # steps a second: a changed digit outlives two looks


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    """Return a bed whose books are audited every few seconds."""
    feed = {"audit_ms": AUDIT_MS, "audit_window_ms": WINDOW_MS, "audit_confirm_ms": CONFIRM_MS}
    plan = Plan(scale=1.0, rate=CALM, service={"hot": {"feed": feed}}, spares_dials=True)
    made = Bed(tmp_path_factory.mktemp("audit"), plan)
    try:
        made.probe.wait_live(made.topics, within_s=30)
        yield made
        assert made.simulator.violations() == {}, "rules of venues were broken"
    finally:
        made.close()


def books(bed: Bed) -> list[Topic]:
    """Return the topics of books."""
    return [topic for topic in bed.topics if topic.channel == BOOK]


def is_condemned(told: Told) -> bool:
    """Tell whether a record says that an audit broke the book."""
    return is_state(told) and told.update.stream_state.reason == FAILED


def counts(bed: Bed, venue: str) -> tuple[int, int, int]:
    """Return agreed, suspected and damaged audits of a venue, as Health tells them."""
    (row,) = (row.counts for row in bed.service.health().venues if row.venue == venue)
    return row.audits_agreed, row.audits_suspected, row.audits_damaged


def test_right_books_are_audited_and_none_is_suspected_twice(bed: Bed) -> None:
    def look() -> bool:
        return all(counts(bed, venue)[0] >= 3 for venue in bed.plan.venues)

    until(look, within_s=120, what="three agreed audits of each venue")
    assert [counts(bed, venue)[2] for venue in bed.plan.venues] == [0] * len(bed.plan.venues)
    for topic in books(bed):
        told = bed.probe.of(topic)
        assert not [one for one in told if is_condemned(one)], topic
        audited = [one for one in told if one.update.integrity == types_pb2.INTEGRITY_AUDITED]
        assert all(one.kind == "checkpoint" and one.update.checkpoint.proof_levels for one in audited)


@pytest.mark.parametrize("venue", ["binance", "binance-usdm", "okx", "coinbase"])
def test_digits_that_no_protocol_proves_are_found(bed: Bed, venue: str) -> None:
    topic = next(one for one in books(bed) if one.venue == venue and one.symbol.startswith("BTC-"))
    product, spelling = PLACES[venue]
    product = "coinbase/advanced" if venue == "coinbase" else product
    since, before = time.monotonic_ns(), counts(bed, venue)[2]
    fault = bed.simulator.arm(
        "corrupt", what="digit", within=1_000, venue=product, symbol=spelling.format("BTC"), count=1_000
    )  # as long as it is not found: single ones may be healed before an audit looks twice
    failed = bed.probe.wait_for(topic, is_condemned, since_ns=since, within_s=FOUND_S, what="is condemned")
    assert failed.update.integrity == types_pb2.INTEGRITY_SUSPECT
    bed.simulator.end(fault)
    bed.probe.wait_for(
        topic, lambda one: is_state(one, 3), since_ns=failed.t_mono_ns, within_s=20, what="back"
    )
    until(lambda: counts(bed, venue)[2] > before, within_s=COMES_S, what="Health counts it")
    others = [one for one in books(bed) if one.venue == venue and one != topic]
    assert not [told for other in others for told in bed.probe.of(other) if is_condemned(told)]
