"""The keepalive finds a dead line in time, answers the newest ping, and stays within the venue's pace."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datafacade.venues.keepalive import NEVER, Act, Keepalive, KeepaliveFigures

FIGURES = KeepaliveFigures(ping_s=5, pong_s=5, control_s=1)


def drive(keepalive: Keepalive, until: float) -> list[tuple[float, Act, bytes]]:
    """Step whenever something is due; stop at ``until`` or when the line is given up."""
    done: list[tuple[float, Act, bytes]] = []
    while keepalive.due <= until:
        now = keepalive.due
        act, payload = keepalive.step(now)
        assert act is not Act.NOTHING, "woken for nothing"
        done.append((now, act, payload))
        if act is Act.GIVE_UP:
            break
    return done


@pytest.mark.proves("ROW-A04")
def test_a_silent_line_is_given_up_after_ten_seconds() -> None:
    assert drive(Keepalive(FIGURES, now=0), 60) == [(5, Act.PING, b"1"), (10, Act.GIVE_UP, b"")]


def test_a_line_that_answers_is_pinged_for_ever() -> None:
    keepalive, now, pings = Keepalive(FIGURES, now=0), 0.0, 0
    while now < 100:
        now = keepalive.due
        act, payload = keepalive.step(now)
        assert act is Act.PING
        assert keepalive.ponged(payload)
        pings += 1
    assert pings == 20


def test_a_pong_that_nobody_asked_for_proves_nothing() -> None:
    keepalive = Keepalive(FIGURES, now=0)
    assert not keepalive.ponged(b"0")
    keepalive.step(5)
    for payload in (b"", b"0", b"2"):
        assert not keepalive.ponged(payload)
    assert keepalive.step(10) == (Act.GIVE_UP, b"")


def test_a_program_that_was_busy_gives_the_pong_its_time_again() -> None:
    keepalive = Keepalive(FIGURES, now=0)
    keepalive.step(5)
    keepalive.wait_longer(12)
    assert keepalive.step(16)[0] is Act.NOTHING
    assert keepalive.step(17)[0] is Act.GIVE_UP


def test_without_pings_of_ours_nothing_is_ever_due() -> None:
    assert Keepalive(KeepaliveFigures(ping_s=0), now=3).due == NEVER


@pytest.mark.proves("ROW-A18")
@given(gaps=st.lists(st.floats(0, 3), min_size=1, max_size=60))
def test_the_newest_ping_is_answered_within_the_pace(gaps: list[float]) -> None:
    keepalive, now, sent = Keepalive(FIGURES, now=0), 0.0, []
    for number, gap in enumerate(gaps):
        sent += drive(keepalive, now + gap)
        for _, act, payload in sent[-1:]:
            if act is Act.PING:
                keepalive.ponged(payload)
        if sent and sent[-1][1] is Act.GIVE_UP:
            return
        now += gap
        keepalive.pinged(b"v%d" % number)
    sent += drive(keepalive, now + 1)
    pongs = [(at, payload) for at, act, payload in sent if act is Act.PONG]
    assert pongs[-1][1] == b"v%d" % (len(gaps) - 1)
    assert pongs[-1][0] <= now + 1
    times = [at for at, act, _ in sent if act is not Act.GIVE_UP]
    assert all(later - earlier >= 1 for earlier, later in pairwise(times))
