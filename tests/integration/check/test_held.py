"""What /proc says of this very process while it opens files and connections."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from datafacade.check.held import Held, held, rest_ports


@pytest.fixture
def rest() -> Iterator[socket.socket]:
    """Return a socket that listens where REST would."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def now(rest: socket.socket) -> Held:
    """Look at this process."""
    return held(os.getpid(), {rest.getsockname()[1]})


def test_a_descriptor_is_counted_whatever_it_leads_to(rest: socket.socket) -> None:
    before = now(rest)
    with open(os.devnull, "rb"), socket.socket(), socket.create_server(("127.0.0.1", 0)):
        assert now(rest).fds == before.fds + 3
        assert not now(rest).is_within(before)
    assert now(rest).is_within(before)


def test_one_connection_to_a_rest_port_is_spared_and_a_second_is_not(rest: socket.socket) -> None:
    before = now(rest)
    with socket.create_connection(rest.getsockname()):
        assert (now(rest).fds, now(rest).rest) == (before.fds, 1)
        assert now(rest).is_within(before)
        with socket.create_connection(rest.getsockname()):
            assert (now(rest).fds, now(rest).rest) == (before.fds, 2)
            assert not now(rest).is_within(before)


def test_a_connection_that_the_venue_has_ended_is_a_descriptor_like_any_other(rest: socket.socket) -> None:
    before = now(rest)
    with socket.create_connection(rest.getsockname()) as mine:
        theirs, _ = rest.accept()
        theirs.close()
        assert mine.recv(1) == b""  # the end has come
        assert (now(rest).fds, now(rest).rest) == (before.fds + 1, 0)


def test_rest_ports_are_those_that_the_simulator_told() -> None:
    told = {
        "binance": {"spot": {"ws": "ws://127.0.0.1:1", "rest": "http://127.0.0.1:2"}},
        "coinbase": {
            "advanced": {"ws": "ws://127.0.0.1:3", "rest": "http://127.0.0.1:4"},
            "exchange": {"ws": "ws://127.0.0.1:5", "rest": "http://127.0.0.1:6"},
        },
    }
    assert rest_ports(told) == {2, 4, 6}
