"""What people read of an answer is what protobuf's own JSON says of it."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import Message

from datafacade._core import Schema
from datafacade.v1 import book_pb2, price_pb2, reference_pb2, warm_pb2
from datafacade.warm.readable import readable
from tests.unit.warm.plain import plain

KINDS = (
    warm_pb2.WarmKlinesResponse,
    warm_pb2.WarmTradesResponse,
    warm_pb2.WarmTickerResponse,
    warm_pb2.WarmFundingResponse,
    price_pb2.ReconciledPriceResponse,
    book_pb2.L2BookResponse,
    reference_pb2.ListInstrumentsResponse,
)
F = FieldDescriptor
STRANGE = "\\ü\u2028\U0001f600\x7f" + "".join(map(chr, range(32)))


def filled(message: Message, dice: random.Random, depth: int = 0) -> Message:
    """Fill a message with anything that it may hold; a third of its fields stay unset."""
    for field in message.DESCRIPTOR.fields:
        if dice.random() < 0.33:
            continue
        if field.message_type is not None:
            if depth < 4:
                _fill_messages(message, field, dice, depth)
        elif field.is_repeated:
            getattr(message, field.name).extend(value(field, dice) for _ in range(3))
        else:
            setattr(message, field.name, value(field, dice))
    return message


def _fill_messages(message: Message, field: Any, dice: random.Random, depth: int) -> None:  # noqa: ANN401
    place = getattr(message, field.name)
    if field.is_repeated:
        for _ in range(3):
            filled(place.add(), dice, depth + 1)
    else:
        place.SetInParent()
        filled(place, dice, depth + 1)


def value(field: Any, dice: random.Random) -> Any:  # noqa: ANN401  of any field
    if field.enum_type is not None:
        return dice.choice([*field.enum_type.values_by_number, 77])
    if field.cpp_type == F.CPPTYPE_STRING:
        is_bytes = field.type == F.TYPE_BYTES
        return dice.randbytes(5) if is_bytes else dice.choice(["", "61602.01", STRANGE, '"'])
    if field.cpp_type == F.CPPTYPE_BOOL:
        return dice.random() < 0.5
    if field.cpp_type == F.CPPTYPE_DOUBLE:
        strange = dice.choice([0.0, 5e-324, 1e22, float("inf"), float("-inf"), float("nan")])
        return dice.choice(
            [strange, dice.uniform(-1, 1), float(f"{dice.uniform(1, 10)}e{dice.randint(-20, 13)}")]
        )
    is_unsigned = field.cpp_type in (F.CPPTYPE_UINT32, F.CPPTYPE_UINT64)
    bits = 64 if field.cpp_type in (F.CPPTYPE_INT64, F.CPPTYPE_UINT64) else 32
    lowest = 0 if is_unsigned else -(2 ** (bits - 1))
    return dice.choice([0, 1, lowest, lowest + 2**bits - 1, dice.randrange(lowest, lowest + 2**bits)])


def told(message: Message) -> bytes:
    return readable(type(message), message.SerializeToString())


@pytest.mark.parametrize("kind", KINDS)
def test_it_says_what_the_json_of_protobuf_says_and_as_python_writes_it(kind: type[Message]) -> None:
    dice = random.Random(kind.DESCRIPTOR.name)
    for _ in range(50):
        message = filled(kind(), dice)
        text = told(message)
        assert json.loads(text) == json.loads(
            json.dumps(MessageToDict(message, preserving_proto_field_name=True))
        )
        assert text == json.dumps(plain(message), separators=(",", ":"), ensure_ascii=False).encode()


def test_an_answer_can_be_made_of_it_again() -> None:
    message = filled(warm_pb2.WarmKlinesResponse(), random.Random(5))
    assert ParseDict(json.loads(told(message)), warm_pb2.WarmKlinesResponse()) == message


def test_what_is_no_message_of_the_contract_is_refused() -> None:
    with pytest.raises(ValueError, match=r"datafacade\.v1\.WarmKlinesResponse"):
        readable(warm_pb2.WarmKlinesResponse, b"\x0a\xff")
    with pytest.raises(ValueError, match=r"google\.protobuf\.FileDescriptorSet"):
        readable(FileDescriptorSet, b"")
    with pytest.raises(ValueError, match="FileDescriptorSet"):
        Schema(b"\xff")


def test_no_answer_has_a_map_which_it_does_not_know() -> None:
    def walk(descriptor: Descriptor, seen: set[str]) -> None:
        seen.add(descriptor.full_name)
        assert not descriptor.GetOptions().map_entry, descriptor.full_name
        for field in descriptor.fields:
            if field.message_type is not None and field.message_type.full_name not in seen:
                walk(field.message_type, seen)

    for kind in KINDS:
        walk(kind.DESCRIPTOR, set())
