"""The checker catches what it is there for: forged logs with one lie each, and those without."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from datafacade.check import Verdict, judge
from datafacade.check.book import NaiveBook, plain, whole
from datafacade.check.probe import ProbeFile, ProbeReader
from datafacade.v1 import stream_pb2
from tests.chaos.forge import BOOK, STEP_NS, Forgery, clean
from tests.chaos.lies import LIES
from tests.chaos.truths import TRUTHS

VENUES = ("binance", "kraken")


def verdicts(run: Forgery) -> dict[str, Verdict]:
    return {verdict.invariant: verdict for verdict in judge(run.read_truth(), run.control, run.read_story())}


def broken(run: Forgery) -> set[str]:
    return {name for name, verdict in verdicts(run).items() if not verdict.holds}


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("seed", range(5))
def test_clean_run_passes_and_nothing_is_vacuous(venue: str, seed: int) -> None:
    found = verdicts(clean(venue, seed=seed))
    assert list(found) == [f"I{number}" for number in range(1, 11)]
    assert not [str(verdict) for verdict in found.values() if not verdict.holds]
    assert not [name for name, verdict in found.items() if verdict.is_vacuous]


def test_canonical_text_is_that_of_the_contract() -> None:
    book = NaiveBook()
    book.set(book.bids, [(whole(6_160_201, -2), whole(167_177, -5)), (whole(61_602, 0), whole(5, -1))])
    book.set(
        book.asks,
        [(whole(61_602_020, -3), whole(266_795, -5)), (whole(7, 4), whole(1, 0)), (whole(70_000, 0), 0)],
    )
    assert book.text() == "b,61602.01,1.67177\nb,61602,0.5\na,61602.02,2.66795"
    assert book.sha256() == "ca17416e9010662095b9158f0323a6446cdfa1fa385097617cd356a57e077c2b"
    assert NaiveBook().sha256() == hashlib.sha256(b"").hexdigest()
    assert [plain(whole(*number)) for number in ((0, -3), (-12_300, -4), (12, 3), (1, -18))] == [
        "0",
        "-1.23",
        "12000",
        "0.000000000000000001",
    ]


@pytest.mark.parametrize(("lie", "invariant"), LIES, ids=lambda part: getattr(part, "__name__", part))
def test_each_lie_breaks_its_invariant(lie: Callable[[Forgery], None], invariant: str) -> None:
    run = clean("binance")
    assert not broken(run)
    lie(run)
    found = verdicts(run)
    assert invariant in broken(run)
    assert found[invariant].evidence
    assert invariant in str(found[invariant])


@pytest.mark.parametrize("truth", TRUTHS, ids=lambda part: part.__name__)
def test_what_is_told_honestly_breaks_nothing(truth: Callable[[Forgery], None]) -> None:
    run = clean("binance")
    truth(run)
    assert not [str(verdict) for verdict in verdicts(run).values() if not verdict.holds]


def test_wrong_quantity_is_caught_without_venue_numbers_too() -> None:
    run = clean("kraken")
    delta = run.change("kraken")
    assert delta is not None
    delta.book_delta.ask_prices.append(max(run.asks) - 30)
    delta.book_delta.ask_quantities.append(77)
    run.change("kraken")
    run.change("kraken")
    assert "I4" in broken(run)


def test_change_behind_a_checksum_failure_is_caught() -> None:
    run = clean("kraken")
    run.now += STEP_NS
    run.fault("kraken", "corrupt", None, what="digit")
    assert not broken(run)
    run.change("kraken")
    assert "I5" in broken(run)


def test_hole_of_delivery_that_is_told_is_no_disorder() -> None:
    run = clean("binance")
    gap = run.update("binance", BOOK, takes_seq=False)
    head = gap.seq
    gap.seq = 0
    gap.gap.scope = stream_pb2.GAP_SCOPE_DELIVERY
    gap.gap.seq_first, gap.gap.seq_last = head + 1, head + 4
    run.seqs["binance", BOOK] += 4
    run.checkpoint("binance")
    assert "I3" not in broken(run)


def test_harness_may_end_the_process_itself() -> None:
    run = clean("binance")
    run.control.append({"t_mono_ns": 0, "action": "kill"})
    run.resources("control", pid=4_712)
    run.resources("later", pid=4_712)
    assert not broken(run)


def test_probe_file_is_read_while_it_grows(tmp_path: Path) -> None:
    path = tmp_path / "probe"
    file, reader = ProbeFile(path), ProbeReader(path)
    assert reader.news() == []
    file.write(b"r", b"one")
    file.write(b"e", b"")
    file.close()
    assert [(record.kind, record.payload) for record in reader.news()] == [("r", b"one"), ("e", b"")]
    with path.open("ab") as torn:
        torn.write(b"\x01\x02")
    assert reader.news() == []
