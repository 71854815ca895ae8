"""After a crash on either side a client gets exactly what it missed, once, or is told what it lost."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datafacade.errors import InvalidRequest
from datafacade.hot.ports import Hub
from datafacade.serve.delivery import Delivery
from datafacade.serve.joining import Joiner
from datafacade.serve.resume import Position, Resume
from datafacade.types import Channel, Topic
from tests.unit.fakes import ManualClock
from tests.unit.serve.fakes import STREAM, FakeHub, FakeJournal, Told

NOW = 30  # this epoch
TRADES = Topic("kraken", "BTC-USD", Channel.TRADES)
BOOK = Topic("kraken", "BTC-USD", Channel.BOOK_L2)


def joiner(hub: FakeHub, topic: Topic = TRADES) -> Joiner:
    return Joiner(
        hub=cast("Hub", hub),
        clock=ManualClock(),
        subscriber=STREAM,
        topic=topic,
        delivery=Delivery("every"),
        request_id=5,
        subscription_id=6,
        requested="XBT/USD",
        credit_bytes=1 << 20,
        gap_ids=itertools.count(1),
    )


def resume(
    hub: FakeHub,
    position: tuple[int, int],
    *,
    journal: FakeJournal | None = None,
    topic: Topic = TRADES,
    is_exact: bool = False,
) -> bool:
    made = Resume(cast("Hub", hub), epoch=hub.epoch, journal=journal)
    return asyncio.run(made.run(joiner(hub, topic), Position(*position), is_exact=is_exact))


def shape(told: list[Told]) -> list[Any]:
    """Return what was told, with runs of updates as (epoch, first, last)."""
    found: list[Any] = []
    for one in told:
        if one.kind != "update":
            found.append(one.kind)
        elif (
            found
            and isinstance(found[-1], tuple)
            and found[-1][0] == one.epoch
            and found[-1][2] == one.seq - 1
        ):
            found[-1] = (one.epoch, found[-1][1], one.seq)
        else:
            found.append((one.epoch, one.seq, one.seq))
    return found


def gaps(hub: FakeHub) -> list[tuple[int, str, int, int]]:
    found = [(one.epoch, one.detail) for one in hub.told if one.kind == "gap"]
    return [(epoch, detail["cause"], detail["first"], detail["last"]) for epoch, detail in found]


@pytest.mark.proves("ROW-E16")
def test_inside_the_ring_exactly_the_missed_updates_come_once() -> None:
    hub = FakeHub(epoch=NOW, head_seq=100, ring_from=50)
    assert resume(hub, (NOW, 60))
    hub.publish(2, ring=60)
    assert shape(hub.told) == ["resumed", (NOW, 61, 100), "caught_up", (NOW, 101, 102)]


def test_at_the_head_nothing_was_missed() -> None:
    hub = FakeHub(epoch=NOW, head_seq=100, ring_from=50)
    assert resume(hub, (NOW, 100))
    assert shape(hub.told) == ["resumed", "caught_up"]


def test_above_the_head_is_no_position() -> None:
    hub = FakeHub(epoch=NOW, head_seq=100)
    with pytest.raises(InvalidRequest, match="expected a seq up to 100, received 101"):
        resume(hub, (NOW, 101))
    assert hub.told == []


def test_beyond_the_ring_the_journal_goes_on_without_a_seam() -> None:
    hub = FakeHub(epoch=NOW, head_seq=100, ring_from=80)
    assert resume(hub, (NOW, 20), journal=FakeJournal({NOW: (10, 95)}))
    assert shape(hub.told) == ["resumed", (NOW, 21, 100), "caught_up"]


def test_a_journal_behind_the_ring_is_waited_for_and_then_given_up_with_a_gap(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("datafacade.serve.resume.STALL_S", 0.0)
    hub = FakeHub(epoch=NOW, head_seq=100, ring_from=80)
    assert resume(hub, (NOW, 20), journal=FakeJournal({NOW: (10, 60)}))
    assert shape(hub.told) == ["resumed", (NOW, 21, 60), "gap", "caught_up"]
    assert gaps(hub) == [(NOW, "resume_too_old", 61, 100)]


@pytest.mark.parametrize("position", [(NOW, 20), (NOW - 9, 20), (0, 0), (NOW + 9, 1)])
def test_what_is_held_nowhere_is_told_and_followed_by_a_fresh_start(position: tuple[int, int]) -> None:
    hub = FakeHub(epoch=NOW, head_seq=100, ring_from=80)
    assert resume(hub, position, journal=FakeJournal({NOW: (50, 95), NOW - 1: (1, 9)}), topic=BOOK)
    assert shape(hub.told) == ["resume_lost", "gap", "snapshot", "caught_up"]
    assert hub.told[0].detail["seq_oldest"] == 50
    assert hub.told[0].detail["code"] == 0
    named = (21, 100) if position[0] == NOW else (0, 0)
    assert gaps(hub) == [(position[0] or NOW, "resume_too_old", *named)]


def test_who_wants_exactly_the_missed_updates_gets_nothing_else() -> None:
    hub = FakeHub(epoch=NOW, head_seq=100, ring_from=80)
    assert not resume(hub, (NOW, 20), is_exact=True)
    assert shape(hub.told) == ["resume_lost"]
    assert (hub.told[0].detail["code"], hub.told[0].detail["reason"]) == (11, "RESUME_TOO_OLD")
    assert hub.attached is None


def test_after_a_restart_a_book_gets_the_rest_a_gap_and_a_snapshot() -> None:
    hub = FakeHub(epoch=NOW, head_seq=7)
    assert resume(hub, (NOW - 5, 40), journal=FakeJournal({NOW - 5: (10, 60), NOW - 1: (1, 9)}), topic=BOOK)
    assert shape(hub.told) == ["resumed", (NOW - 5, 41, 60), "gap", "snapshot", "caught_up"]
    assert gaps(hub) == [(NOW - 5, "server_restart", 0, 0)]
    assert next(one for one in hub.told if one.kind == "gap").detail["ts_first"] == (NOW - 5) * 1000 + 60


def test_after_a_restart_trades_go_on_with_the_first_of_the_new_epoch() -> None:
    hub = FakeHub(epoch=NOW, head_seq=7)
    assert resume(hub, (NOW - 5, 40), journal=FakeJournal({NOW - 5: (10, 60)}))
    assert shape(hub.told) == ["resumed", (NOW - 5, 41, 60), "gap", (NOW, 1, 7), "caught_up"]


def test_after_two_restarts_trades_of_the_epoch_between_are_told_too() -> None:
    hub = FakeHub(epoch=NOW, head_seq=90, ring_from=60)
    journal = FakeJournal({NOW - 5: (10, 60), NOW - 2: (3, 9), NOW: (5, 88)})
    assert resume(hub, (NOW - 5, 40), journal=journal)
    assert shape(hub.told) == [
        "resumed",
        (NOW - 5, 41, 60),
        "gap",
        "gap",
        (NOW - 2, 3, 9),
        "gap",
        "gap",
        (NOW, 5, 90),
        "caught_up",
    ]
    assert gaps(hub) == [
        (NOW - 5, "server_restart", 0, 0),
        (NOW - 2, "resume_too_old", 1, 2),
        (NOW - 2, "server_restart", 0, 0),
        (NOW, "resume_too_old", 1, 4),
    ]


def test_a_tail_that_the_crash_took_is_named_in_the_gap() -> None:
    hub = FakeHub(epoch=NOW, head_seq=0)
    assert resume(hub, (NOW - 5, 66), journal=FakeJournal({NOW - 5: (10, 60)}), topic=BOOK)
    assert shape(hub.told) == ["resumed", "gap", "snapshot", "caught_up"]
    assert gaps(hub) == [(NOW - 5, "server_restart", 61, 66)]


def test_a_broken_disk_costs_the_past_and_not_the_stream() -> None:
    hub = FakeHub(epoch=NOW, head_seq=100, ring_from=80)
    assert resume(hub, (NOW - 5, 40), journal=FakeJournal({NOW - 5: (10, 60)}, is_broken=True))
    assert shape(hub.told) == ["resume_lost", "gap", "caught_up"]


def test_a_client_that_does_not_read_is_not_pushed_at() -> None:
    async def run() -> None:
        hub = FakeHub(epoch=NOW, head_seq=100, ring_from=80, owed_bytes=1 << 20)
        made = Resume(cast("Hub", hub), epoch=NOW, journal=FakeJournal({NOW: (1, 95)}))
        running = asyncio.ensure_future(made.run(joiner(hub), Position(NOW, 5), is_exact=False))
        while not hub.told:  # noqa: ASYNC110  a fake has no event for it
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.03)
        assert shape(hub.told) == ["resumed"]
        hub.owed_bytes = 0
        assert await running
        assert shape(hub.told) == ["resumed", (NOW, 6, 100), "caught_up"]

    asyncio.run(run())


def test_a_stream_that_ends_in_a_replay_ends_the_replay() -> None:
    hub = FakeHub(epoch=NOW, head_seq=100, ring_from=80, is_ended=True)
    with pytest.raises(ValueError, match="ended"):
        resume(hub, (NOW, 5), journal=FakeJournal({NOW: (1, 95)}))


@st.composite
def worlds(draw: st.DrawFn) -> tuple[FakeHub, FakeJournal, tuple[int, int]]:
    """Return a hub and a journal that overlap or not, and a position in one of their epochs."""
    head = draw(st.integers(0, 40))
    hub = FakeHub(epoch=NOW, head_seq=head, ring_from=draw(st.integers(1, head + 1)))
    held = {}
    for epoch in draw(st.sets(st.sampled_from([NOW - 3, NOW - 2, NOW - 1]))):
        first = draw(st.integers(1, 20))
        held[epoch] = (first, draw(st.integers(first, 25)))
    if head and draw(st.booleans()):
        held[NOW] = (draw(st.integers(1, hub.ring_from)), draw(st.integers(hub.ring_from - 1, head)))
        if held[NOW][1] < held[NOW][0]:
            del held[NOW]
    epoch = draw(st.sampled_from([NOW - 3, NOW - 2, NOW - 1, NOW]))
    seq = draw(st.integers(0, head if epoch == NOW else 30))
    return hub, FakeJournal(held, chunk=draw(st.integers(1, 9))), (epoch, seq)


@given(worlds(), st.sampled_from([TRADES, BOOK]))
def test_nothing_is_lost_in_silence_and_nothing_comes_twice(
    world: tuple[FakeHub, FakeJournal, tuple[int, int]], topic: Topic
) -> None:
    hub, journal, position = world
    assert resume(hub, position, journal=journal, topic=topic)
    hub.publish(3, ring=100)
    at = position
    is_restarted = is_unnumbered = False  # whether another epoch, or any number, may follow
    for one in hub.told:
        if one.kind == "gap" and one.detail["cause"] == "server_restart":
            is_restarted = True
        elif one.kind == "gap" and one.detail["first"]:
            is_next = one.epoch > at[0] if is_restarted else one.epoch == at[0]
            assert is_next
            assert one.detail["first"] == (1 if is_restarted else at[1] + 1)
            at, is_restarted = (one.epoch, one.detail["last"]), False
        elif one.kind == "gap":
            is_unnumbered = True
        elif one.kind == "snapshot":
            at, is_restarted, is_unnumbered = (one.epoch, one.seq), False, False
        elif one.kind == "update":
            now = (one.epoch, one.seq)
            assert now > at
            assert is_unnumbered or (now == (now[0], 1) if is_restarted else now == (at[0], at[1] + 1))
            at, is_restarted, is_unnumbered = now, False, False
    assert at == (NOW, hub.head_seq)
    assert hub.told[0].kind in ("resumed", "resume_lost")
    assert [one.kind for one in hub.told].count("caught_up") == 1
