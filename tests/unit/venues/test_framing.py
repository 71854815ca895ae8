"""The frame splitter sees what the full parser sees, however the bytes are cut (ROW-A17)."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from datafacade.venues.framing import FrameSplitter

LIMIT = 70_000


def raw(payload: bytes, *, opcode: int = 1, fin: bool = True) -> bytes:
    head = bytes([(0x80 if fin else 0) | opcode])
    if len(payload) < 126:
        return head + bytes([len(payload)]) + payload
    if len(payload) < 65_536:
        return head + b"\x7e" + struct.pack("!H", len(payload)) + payload
    return head + b"\x7f" + struct.pack("!Q", len(payload)) + payload


class Oracle:
    """The sans-I/O parser of ``websockets``: messages and control frames in order."""

    def __init__(self) -> None:
        self.wire = ClientProtocol(parse_uri("ws://x/"), state=State.OPEN, max_size=LIMIT)
        self.seen: list[tuple[str, bytes]] = []
        self.parts: list[bytes] | None = None

    def feed(self, data: bytes) -> bool:
        self.wire.receive_data(data)
        for event in self.wire.events_received():
            assert isinstance(event, Frame)
            self.take(event)
        return self.parts is None

    def take(self, frame: Frame) -> None:
        if frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            self.parts = [*(self.parts or []), bytes(frame.data)]
            if frame.fin:
                self.seen.append(("message", b"".join(self.parts)))
                self.parts = None
        else:
            self.seen.append((frame.opcode.name, bytes(frame.data)))


def split(pieces: list[bytes]) -> list[tuple[str, bytes]]:
    full = Oracle()
    splitter = FrameSplitter(
        message_bytes_max=LIMIT,
        on_text=lambda content: full.seen.append(("message", content)),
        on_control=lambda kind, content: full.seen.append((Opcode(kind & 15).name, content)),
        on_other=full.feed,
    )
    for piece in pieces:
        splitter.feed(piece)
    return full.seen


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces, at = [], 0
    for size in sizes:
        pieces.append(data[at : at + size])
        at += size
    return [piece for piece in [*pieces, data[at:]] if piece]


payloads = st.one_of(
    st.binary(max_size=200),
    st.sampled_from([b"x" * n for n in (0, 125, 126, 127, 65_535, 65_536, LIMIT)]),
)
messages = st.one_of(
    payloads.map(raw),
    payloads.map(lambda content: raw(content, opcode=2)),
    st.binary(max_size=125).map(lambda content: raw(content, opcode=9)),
    st.tuples(payloads, st.binary(max_size=20)).map(
        lambda pair: raw(pair[0][:1_000], fin=False) + raw(b"", opcode=9) + raw(pair[1], opcode=0)
    ),
)


@pytest.mark.proves("ROW-A17")
@given(frames=st.lists(messages, max_size=12), sizes=st.lists(st.integers(1, 300), max_size=60))
def test_any_cut_gives_what_the_full_parser_gives(frames: list[bytes], sizes: list[int]) -> None:
    data = b"".join(frames)
    oracle = Oracle()
    oracle.feed(data)
    assert split(cut(data, sizes)) == oracle.seen
    assert split([data] if data else []) == oracle.seen


@given(data=st.binary(max_size=400), sizes=st.lists(st.integers(1, 30), max_size=30))
def test_any_bytes_give_what_the_full_parser_gives(data: bytes, sizes: list[int]) -> None:
    oracle, via = Oracle(), Oracle()
    oracle.feed(data)
    splitter = FrameSplitter(
        message_bytes_max=LIMIT,
        on_text=lambda content: via.seen.append(("message", content)),
        on_control=lambda kind, content: via.seen.append((Opcode(kind & 15).name, content)),
        on_other=via.feed,
    )
    for piece in cut(data, sizes):
        if via.wire.state is State.OPEN:
            splitter.feed(piece)
    if oracle.wire.state is State.OPEN:
        assert via.seen == oracle.seen
    else:  # both end the connection for the same reason, whatever came before
        assert type(via.wire.parser_exc) is type(oracle.wire.parser_exc) or via.wire.state is State.OPEN


@pytest.mark.parametrize("header", [b"\x81\xfe", b"\x81\x7f" + struct.pack("!Q", LIMIT + 1), b"\xc1\x01x"])
def test_what_breaks_the_protocol_reaches_the_full_parser(header: bytes) -> None:
    full = Oracle()
    splitter = FrameSplitter(
        message_bytes_max=LIMIT, on_text=lambda _: None, on_control=lambda *_: None, on_other=full.feed
    )
    splitter.feed(raw(b"good") + header)
    splitter.feed(b"more")
    assert full.wire.parser_exc is not None
