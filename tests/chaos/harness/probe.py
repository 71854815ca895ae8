"""The probe in a process of its own, and its log while it grows."""

from __future__ import annotations

import base64
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from datafacade.check.names import BOOK, TRADES, Topic
from datafacade.check.probe import ProbeReader
from datafacade.check.story import Story, Told, is_state
from datafacade.v1 import hot_pb2, stream_pb2, types_pb2
from tests.chaos.harness.environment import ROOT, environment
from tests.chaos.harness.wait import until

LIVE: Final = types_pb2.STATE_LIVE
DATA: Final = frozenset({"book_snapshot", "book_delta", "trade"})


def subscription(
    venues: Sequence[str],
    symbols: Sequence[str],
    channels: Sequence[int] = (BOOK, TRADES),
    *,
    number: int = 1,
    allow_unverified: bool = False,
) -> hot_pb2.HotSubscribeRequest:
    """Return a request for the cross product."""
    item = hot_pb2.Subscription(
        subscription_id=number,
        venues=venues,
        symbols=symbols,
        channels=list(channels),  # type: ignore[arg-type]  # numbers of the enum
        allow_unverified=allow_unverified,
    )
    return hot_pb2.HotSubscribeRequest(request_id=number, subscribe=[item])


class ProbeProcess:
    """One HotSubscribe call in a process of its own.

    Args:
        address: Of the service.
        path: Its log.
        module: What is run: the probe, or a client that keeps the same log.
        more: Further arguments.
    """

    def __init__(
        self, address: str, path: Path, *, module: str = "datafacade.check.probe", more: Sequence[str] = ()
    ) -> None:
        self.path = path
        self.story = Story()
        command = [sys.executable, "-m", module, "--address", address, "--out", str(path), *more]
        self.process = subprocess.Popen(  # noqa: S603  our own command
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, cwd=ROOT, env=environment()
        )
        until(path.exists, within_s=20, what="the probe runs")
        self._reader = ProbeReader(path)

    def send(self, request: hot_pb2.HotSubscribeRequest) -> None:
        """Send a request."""
        self.tell(base64.b64encode(request.SerializeToString()).decode())

    def tell(self, line: str) -> None:
        """Hand it a line."""
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def news(self) -> list[Told]:
        """Return what came since the last look."""
        return self.story.add(self._reader.news())

    def of(self, topic: Topic) -> list[Told]:
        """Return all that a topic told so far."""
        self.news()
        return self.story.of(topic)

    def is_live(self, topic: Topic) -> bool:
        """Tell whether a topic's newest state is LIVE, and a book's snapshot was read."""
        told = self.of(topic)
        states = [one for one in told if is_state(one)]
        is_whole = topic.channel != BOOK or any(one.kind == "book_snapshot" for one in told)
        return bool(states) and is_state(states[-1], LIVE) and is_whole

    def wait_live(self, topics: Sequence[Topic], *, within_s: float) -> None:
        """Wait until all of these topics are LIVE."""
        what = f"{len(topics)} topics are LIVE"
        try:
            until(lambda: all(self.is_live(topic) for topic in topics), within_s=within_s, what=what)
        except AssertionError as error:
            late = [str(topic) for topic in topics if not self.is_live(topic)]
            raise AssertionError(f"{error}; not LIVE: {', '.join(late)}") from None

    def wait_for(
        self, topic: Topic, wanted: Callable[[Told], bool], *, since_ns: int, within_s: float, what: str
    ) -> Told:
        """Wait for the first record of a topic that came at or after ``since_ns`` (monotonic)."""

        def look() -> Told | None:
            told = self.of(topic)
            return next((one for one in told if one.t_mono_ns >= since_ns and wanted(one)), None)

        return until(look, within_s=within_s, what=f"{topic}: {what}")

    def statuses(self) -> list[stream_pb2.SubscriptionStatus]:
        """Return the answers to subscriptions, oldest first."""
        self.news()
        return [
            one.update.subscription_status for one in self.story.order if one.kind == "subscription_status"
        ]

    def sent_ns(self) -> list[int]:
        """Return when each request left the probe, by its own log, oldest first."""
        return [one.t_mono_ns for one in ProbeReader(self.path).news() if one.kind == "s"]

    def end(self) -> dict[str, str] | None:
        """Return how the call ended; None: it goes on."""
        self.news()
        if not self.story.ends:
            return None
        end: dict[str, str] = json.loads(self.story.ends[0][1])
        return end

    def kill(self) -> None:
        """End it as the system would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def close(self) -> None:
        """End it."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        if self.process.stdin is not None:
            self.process.stdin.close()
