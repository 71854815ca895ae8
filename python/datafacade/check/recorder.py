"""A client that writes down raw responses, acknowledges them, and goes on where its own file ends.

It is what a careful client does and no more: a position is the last record that it wrote (docs/resume.md).
It outlives a lost call, and its own SIGKILL: started again with the same file it resumes behind the last
whole record.

``python -m datafacade.check.recorder --address HOST:PORT --out FILE --topics FILE [--per-second N]``; the
topics are JSON rows ``[venue, symbol, channel, variant]``. It ends at SIGTERM. `probe` tells the format.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import grpc

from datafacade.check.names import BOOK, Topic
from datafacade.check.probe import METHOD, OPTIONS, ProbeFile, ProbeReader, identity
from datafacade.v1 import hot_pb2, stream_pb2, types_pb2

ACK_S: Final = 0.1
SILENCE_S: Final = 5.0  # the service says something every second
AGAIN_S: Final = 0.2  # from the end of a call to the next
RETRY_S: Final = 0.5  # from the refusal of an item to its next subscription
INVALID_ARGUMENT: Final = 3
MORE: Final = types_pb2.UPDATE_FLAG_MORE


class Places:
    """Where each topic stands, by what was written.

    Args:
        topics: What is followed; the id of a subscription is the place of its topic here, from 1.
    """

    def __init__(self, topics: Sequence[Topic]) -> None:
        self._topics = topics
        self._stands: dict[Topic, tuple[int, int]] = {}  # epoch and seq

    def take(self, update: hot_pb2.Update) -> None:
        """Take one record. A book without its base, or with a hole, has no place to go on from."""
        if update.seq == 0:
            return
        topic = Topic(update.venue, update.symbol, update.channel, update.variant)
        is_base = update.HasField("book_snapshot")
        if is_base and update.flags & MORE:
            return
        epoch, head = self._stands.get(topic, (0, 0))
        is_joined = epoch == update.epoch and update.seq <= head + 1
        if topic.channel != BOOK or is_base or is_joined:
            self._stands[topic] = (update.epoch, update.seq)
        else:
            self._stands.pop(topic, None)

    def forget(self, number: int) -> None:
        """Forget where a subscription stands: the service does not know that place."""
        self._stands.pop(self._topics[number - 1], None)

    def subscriptions(self, numbers: Iterable[int] = ()) -> list[hot_pb2.Subscription]:
        """Return what to ask for, all or some, each with its position if it has one."""
        return [self._subscription(number) for number in numbers or range(1, len(self._topics) + 1)]

    def _subscription(self, number: int) -> hot_pb2.Subscription:
        topic = self._topics[number - 1]
        item = hot_pb2.Subscription(
            subscription_id=number,
            venues=[topic.venue],
            symbols=[topic.symbol],
            channels=[topic.channel],  # type: ignore[list-item]  # a number of the enum
            variants=[topic.variant] if topic.variant else [],
        )
        stands = self._stands.get(topic)
        if stands is not None:
            place = types_pb2.Position(
                venue=topic.venue,
                symbol=topic.symbol,
                channel=topic.channel,  # type: ignore[arg-type]  # a number of the enum
                variant=topic.variant,
                epoch=stands[0],
                seq=stands[1],
            )
            item.resume.append(place)
        return item


class Requests:
    """What one call sends: subscriptions, and acknowledgements now and then."""

    def __init__(self, file: ProbeFile, places: Places) -> None:
        self._file = file
        self._places = places
        self._again: dict[int, float] = {}  # refused items, and when to ask again
        self._done = 0
        self._acked = 0
        self.is_over = threading.Event()

    def processed(self, stream_seq: int) -> None:
        """Hear that a response was processed."""
        self._done = stream_seq

    def refused(self, number: int) -> None:
        """Hear that an item was refused."""
        self._again[number] = time.monotonic() + RETRY_S

    def __iter__(self) -> Iterator[bytes]:
        """Yield requests until the call is over."""
        yield self._written(hot_pb2.HotSubscribeRequest(request_id=1, subscribe=self._places.subscriptions()))
        while not self.is_over.wait(ACK_S):
            due = [number for number, at in dict(self._again).items() if at <= time.monotonic()]
            for number in due:
                del self._again[number]
            if due or self._done > self._acked:
                self._acked = self._done
                subscribe = self._places.subscriptions(due) if due else []
                yield self._written(
                    hot_pb2.HotSubscribeRequest(subscribe=subscribe, ack_stream_seq=self._acked)
                )

    def _written(self, request: hot_pb2.HotSubscribeRequest) -> bytes:
        payload = request.SerializeToString()
        self._file.write(b"s", payload)
        return payload


class Recorder:
    """Writes calls to one file until it is stopped.

    Args:
        file: Where records go.
        places: What to ask for, and where it stands.
        pause_s: Time that one response takes: a slow client.
    """

    def __init__(self, file: ProbeFile, places: Places, *, pause_s: float) -> None:
        self._file = file
        self._places = places
        self._pause_s = pause_s
        self._heard_at = 0.0
        self.is_stopped = threading.Event()

    def run(self, address: str) -> None:
        """Make one call after the other."""
        while not self.is_stopped.is_set():
            self._call(address)
            self.is_stopped.wait(AGAIN_S)

    def _call(self, address: str) -> None:
        self._file.write(b"o", b"")
        requests = Requests(self._file, self._places)
        with grpc.insecure_channel(address, options=OPTIONS) as channel:
            call = channel.stream_stream(METHOD, request_serializer=identity, response_deserializer=identity)(
                iter(requests)
            )
            self._heard_at = time.monotonic()
            threading.Thread(target=self._watch, args=(call, requests), daemon=True).start()
            try:
                for response in call:
                    self._take(response, requests)
            except grpc.RpcError:
                pass  # how it ended is written below
            requests.is_over.set()
            end = {"code": call.code().name, "message": call.details() or ""}
            self._file.write(b"e", json.dumps(end).encode())

    def _watch(self, call: grpc.Call, requests: Requests) -> None:
        """End a call that says nothing, or that nobody wants any more."""
        while not requests.is_over.wait(ACK_S):
            if self.is_stopped.is_set() or time.monotonic() - self._heard_at > SILENCE_S:
                call.cancel()
                return

    def _take(self, payload: bytes, requests: Requests) -> None:
        self._file.write(b"r", payload)
        response = hot_pb2.HotSubscribeResponse.FromString(payload)
        for update in response.updates:
            self._places.take(update)
            if update.HasField("subscription_status"):
                self._hear(update.subscription_status, requests)
        if response.updates and self._pause_s:
            self.is_stopped.wait(self._pause_s)
        self._heard_at = time.monotonic()
        requests.processed(response.stream_seq)

    def _hear(self, status: stream_pb2.SubscriptionStatus, requests: Requests) -> None:
        if status.phase == stream_pb2.SUBSCRIPTION_PHASE_REJECTED and status.subscription_id:
            if status.code == INVALID_ARGUMENT:
                self._places.forget(status.subscription_id)
            requests.refused(status.subscription_id)


def opened(path: Path, places: Places) -> ProbeFile:
    """Open a new file, or go on with one: its records tell where each topic stands."""
    if not path.exists():
        return ProbeFile(path)
    reader = ProbeReader(path)
    for record in reader.news():
        if record.kind == "r":
            for update in hot_pb2.HotSubscribeResponse.FromString(record.payload).updates:
                places.take(update)
    return ProbeFile(path, continued_at=reader.at)


def main() -> int:
    """Run the recorder."""
    parser = argparse.ArgumentParser(description="record raw bytes, call after call, and resume")
    parser.add_argument("--address", required=True)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--topics", required=True, type=Path)
    parser.add_argument("--per-second", type=float, default=0.0, help="responses handled a second; 0: all")
    arguments = parser.parse_args()
    places = Places([Topic(*row) for row in json.loads(arguments.topics.read_text(encoding="utf-8"))])
    pause_s = 1 / arguments.per_second if arguments.per_second else 0.0
    recorder = Recorder(opened(arguments.out, places), places, pause_s=pause_s)
    signal.signal(signal.SIGTERM, lambda *_: recorder.is_stopped.set())
    recorder.run(arguments.address)
    return 0


if __name__ == "__main__":
    sys.exit(main())
