"""The probe subscriber: a gRPC client that writes down raw response bytes and when they came.

It decides nothing. ``python -m datafacade.check.probe --address HOST:PORT --out FILE`` opens one call,
sends each line of standard input (a base64 request) as it comes, and writes until the call ends. The end of
standard input half-closes the call.

File: a line ``DFPROBE1 {"mono_ns": .., "wall_ns": .., "pid": ..}``, then records, each a head ``<qcI``
(monotonic ns, kind, length) and so many bytes. Kinds: ``r`` a response as received, ``s`` a request as sent,
``e`` the end of the call as JSON ``{"code", "message"}``. A file of several calls (`recorder`) has ``o``
before each of them. ``--ack`` acknowledges each response once it is written.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import queue
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import grpc

from datafacade.v1 import hot_pb2

METHOD: Final = "/datafacade.v1.DataFacadeService/HotSubscribe"
MAGIC: Final = b"DFPROBE1 "
HEAD: Final = struct.Struct("<qcI")
OPTIONS: Final = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_retries", 0),
)


class ProbeFile:
    """Appends records; each is flushed, so that a reader and a kill see whole ones.

    Args:
        path: Begun anew, unless it is continued.
        continued_at: Length of the whole records that stay; what a kill tore behind them is cut off.
    """

    def __init__(self, path: Path, *, continued_at: int | None = None) -> None:
        self._lock = threading.Lock()
        if continued_at is not None:
            os.truncate(path, continued_at)
            self._file: BinaryIO = path.open("ab", buffering=0)
            return
        self._file = path.open("wb", buffering=0)
        head = {"mono_ns": time.monotonic_ns(), "wall_ns": time.time_ns(), "pid": os.getpid()}
        self._file.write(MAGIC + json.dumps(head).encode() + b"\n")

    def write(self, kind: bytes, payload: bytes) -> None:
        """Write one record with the present time."""
        now = time.monotonic_ns()
        with self._lock:
            self._file.write(HEAD.pack(now, kind, len(payload)) + payload)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


@dataclass(frozen=True, slots=True)
class ProbeRecord:
    """One record of a probe file."""

    t_mono_ns: int
    kind: str
    payload: bytes


class ProbeReader:
    """Reads a probe file, also while it grows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0

    @property
    def at(self) -> int:
        """Return how many bytes were read, in whole records."""
        return self._at

    def news(self) -> list[ProbeRecord]:
        """Return the whole records that were written since the last call."""
        records: list[ProbeRecord] = []
        with self._path.open("rb") as file:
            file.seek(self._at)
            data = file.read()
        at = 0
        if self._at == 0:
            at = data.find(b"\n") + 1
            if at == 0:
                return records
            if not data.startswith(MAGIC):
                raise ValueError(f"{self._path}: expected a probe file")
        while at + HEAD.size <= len(data):
            t_mono_ns, kind, length = HEAD.unpack_from(data, at)
            end = at + HEAD.size + length
            if end > len(data):
                break
            records.append(ProbeRecord(t_mono_ns, kind.decode("ascii"), data[at + HEAD.size : end]))
            at = end
        self._at += at
        return records


def identity(payload: bytes) -> bytes:
    """Return the bytes as they are: (de)serialising would be logic."""
    return payload


def acknowledgement(response: bytes) -> bytes:
    """Return the request that acknowledges a response."""
    number = hot_pb2.HotSubscribeResponse.FromString(response).stream_seq
    return hot_pb2.HotSubscribeRequest(ack_stream_seq=number).SerializeToString()


def record_call(
    address: str,
    file: ProbeFile,
    requests: Iterator[bytes],
    answer: Callable[[bytes], None] = lambda _: None,
) -> int:
    """Open one call, write all that comes until it ends; return its status code.

    Args:
        address: Host and port of the service.
        file: What it is written to.
        requests: What is sent.
        answer: Hears each response once it is written.
    """
    with grpc.insecure_channel(address, options=OPTIONS) as channel:
        call = channel.stream_stream(METHOD, request_serializer=identity, response_deserializer=identity)(
            requests
        )
        try:
            for response in call:
                file.write(b"r", response)
                answer(response)
        except grpc.RpcError:
            pass  # how it ended is written below
        end = {"code": call.code().name, "message": call.details() or ""}
        file.write(b"e", json.dumps(end).encode())
        return int(call.code().value[0])


def from_stdin(file: ProbeFile, requests: queue.SimpleQueue[bytes]) -> Iterator[bytes]:
    """Yield the requests of standard input and those put in between, and write each one down."""

    def read() -> None:
        for line in sys.stdin.buffer:
            requests.put(base64.b64decode(line))
        requests.put(b"")

    threading.Thread(target=read, daemon=True).start()
    while request := requests.get():
        file.write(b"s", request)
        yield request


def main() -> int:
    """Run the probe."""
    parser = argparse.ArgumentParser(description="record the raw bytes of one HotSubscribe call")
    parser.add_argument("--address", required=True)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--ack", action="store_true", help="acknowledge each response")
    arguments = parser.parse_args()
    file = ProbeFile(arguments.out)
    requests: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def answer(response: bytes) -> None:
        if arguments.ack:
            requests.put(acknowledgement(response))

    return record_call(arguments.address, file, from_stdin(file, requests), answer)


if __name__ == "__main__":
    sys.exit(main())
