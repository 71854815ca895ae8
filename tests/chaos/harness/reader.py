"""A client whose reading and acknowledging are steered from outside, in a process of its own.

``python -m tests.chaos.harness.reader --address HOST:PORT --out FILE [--ack] [--updates-per-s N]`` opens one
call and writes a probe file. A line of standard input is a base64 request, or a word: ``hold`` stops reading
and acknowledging (a record of kind ``h`` tells when), ``go`` goes on, ``fast`` handles from then on whatever
comes at once. It reads without delay and handles what it has read, in order; with ``--ack`` it acknowledges
what it has handled.
"""

from __future__ import annotations

import argparse
import base64
import json
import queue
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import grpc

from datafacade.check.probe import METHOD, OPTIONS, ProbeFile, identity
from datafacade.v1 import hot_pb2

DETAILS: Final = "grpc-status-details-bin"
WINDOW: Final = (
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", 65_536),
)  # holds 64 KiB, not more


class Reader:
    """One call.

    Args:
        file: Where records go.
        acks: Whether it acknowledges.
        updates_per_s: Updates that are handled a second; 0: all at once.
    """

    def __init__(self, file: ProbeFile, *, acks: bool, updates_per_s: float) -> None:
        self._file = file
        self._acks = acks
        self._updates_per_s = updates_per_s
        self._goes = threading.Event()
        self._goes.set()
        self._requests: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._read: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def steer(self) -> None:
        """Obey standard input to its end."""
        for line in open(0, "rb", buffering=0):  # noqa: SIM115  a buffer is locked when a process ends
            match line.strip():
                case b"hold":
                    self._goes.clear()
                    self._file.write(b"h", b"")
                case b"go":
                    self._goes.set()
                case b"fast":
                    self._updates_per_s = 0
                case request:
                    self._requests.put(base64.b64decode(request))

    def requests(self) -> Iterator[bytes]:
        """Yield what is to be sent, each written down."""
        while True:
            request = self._requests.get()
            self._file.write(b"s", request)
            yield request

    def handle(self) -> None:
        """Handle what was read, in order, at the given pace."""
        free_at = time.monotonic()  # when this client is done with all before
        while True:
            response = hot_pb2.HotSubscribeResponse.FromString(self._read.get())
            if self._updates_per_s:
                free_at = max(free_at, time.monotonic()) + len(response.updates) / self._updates_per_s
                time.sleep(max(free_at - time.monotonic(), 0))
            self._goes.wait()
            if self._acks:
                acknowledgement = hot_pb2.HotSubscribeRequest(ack_stream_seq=response.stream_seq)
                self._requests.put(acknowledgement.SerializeToString())

    def run(self, address: str) -> None:
        """Read until the call ends, and write down how it did."""
        for work in (self.steer, self.handle):
            threading.Thread(target=work, daemon=True).start()
        with grpc.insecure_channel(address, options=(*OPTIONS, *WINDOW)) as channel:
            call = channel.stream_stream(METHOD, request_serializer=identity, response_deserializer=identity)(
                self.requests()
            )
            try:
                for response in call:
                    self._file.write(b"r", response)
                    self._read.put(response)
                    self._goes.wait()
            except grpc.RpcError:
                pass  # how it ended is written below
            details = dict(call.trailing_metadata() or ()).get(DETAILS, b"")
            end = {"code": call.code().name, "message": call.details() or ""}
            end["details"] = base64.b64encode(details if isinstance(details, bytes) else b"").decode()
            self._file.write(b"e", json.dumps(end).encode())


def main() -> None:
    """Run the reader."""
    parser = argparse.ArgumentParser(description="record one call at a pace of one's own")
    parser.add_argument("--address", required=True)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--ack", action="store_true", help="acknowledge what was handled")
    parser.add_argument("--updates-per-s", type=float, default=0.0)
    arguments = parser.parse_args()
    file = ProbeFile(arguments.out)
    Reader(file, acks=arguments.ack, updates_per_s=arguments.updates_per_s).run(arguments.address)


if __name__ == "__main__":
    main()
