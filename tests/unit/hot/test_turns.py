"""A Feed is called in order, also while a worker is inside it."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from datafacade.hot.ports import Command, Commands
from datafacade.hot.turns import DEFERRED_MAX, Turns


async def test_commands_are_executed_in_order() -> None:
    done: list[Command] = []
    turns = Turns(done.append)
    turns.call(lambda: [("send", "a"), ("send", "b")])
    turns.call(lambda: None)
    assert done == [("send", "a"), ("send", "b")]


async def test_calls_wait_for_the_worker_and_keep_their_order() -> None:
    order: list[str] = []
    turns = Turns(lambda command: order.append(str(command[1])))
    inside, release = threading.Event(), threading.Event()

    def parse() -> Commands:
        inside.set()
        release.wait(60)
        return [("send", "from worker")]

    def later(name: str) -> Commands:
        order.append(name)
        return None

    with ThreadPoolExecutor(1) as executor:
        working = asyncio.ensure_future(turns.detached(executor, parse))
        await asyncio.to_thread(inside.wait)
        for name in ("first", "second"):
            turns.call(lambda name=name: later(name))  # type: ignore[misc]
        assert order == []
        assert turns.is_busy
        release.set()
        await working
    assert order == ["from worker", "first", "second"]
    assert not turns.is_busy


async def test_a_failing_worker_leaves_the_door_open() -> None:
    turns = Turns(lambda _: None)

    def fail() -> Commands:
        raise ValueError("no list")

    with ThreadPoolExecutor(1) as executor:
        with pytest.raises(ValueError, match="no list"):
            await turns.detached(executor, fail)
        await turns.idle()
        assert not turns.is_busy


async def test_cancellation_waits_until_the_worker_is_out() -> None:
    turns = Turns(lambda _: None)
    inside, release, is_out = threading.Event(), threading.Event(), threading.Event()

    def parse() -> Commands:
        inside.set()
        release.wait(60)
        is_out.set()
        return None

    with ThreadPoolExecutor(1) as executor:
        working = asyncio.ensure_future(turns.detached(executor, parse))
        await asyncio.to_thread(inside.wait)
        working.cancel()
        await asyncio.sleep(0.01)
        assert not working.done()
        release.set()
        with pytest.raises(asyncio.CancelledError):
            await working
        assert is_out.is_set()


async def test_what_waits_for_the_worker_is_bounded() -> None:
    turns = Turns(lambda _: None)
    turns.is_busy = True
    for _ in range(DEFERRED_MAX + 5):
        turns.call(lambda: None)
    assert len(turns._deferred) == DEFERRED_MAX
