"""What people read of an answer, made of its fields: the oracle of what the core makes of its bytes."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, NamedTuple

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

Turn = Callable[[Any], Any]

_WIDE: Final = frozenset({FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64})
_FLOATS: Final = frozenset({FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT})


class _Field(NamedTuple):
    name: str
    turn: Turn | None  # None: as it is
    is_repeated: bool
    has_presence: bool


def plain(message: Message) -> dict[str, Any]:
    """Return all fields of a message that are set, by name.

    Example:
        >>> from datafacade.v1 import lineage_pb2
        >>> plain(lineage_pb2.SourceQuote(source="okx", used=True, ts_source=5))
        {'source': 'okx', 'ts_source': '5', 'used': True}
    """
    told: dict[str, Any] = {}
    for name, turn, is_repeated, has_presence in _fields(message.DESCRIPTOR):
        if has_presence and not message.HasField(name):
            continue
        value = getattr(message, name)
        if not value and not has_presence:
            continue
        if is_repeated:
            told[name] = list(value) if turn is None else [turn(one) for one in value]
        else:
            told[name] = value if turn is None else turn(value)
    return told


@lru_cache(maxsize=256)
def _fields(descriptor: Descriptor) -> tuple[_Field, ...]:
    return tuple(
        _Field(field.name, _turn(field), field.is_repeated, field.has_presence)
        for field in sorted(descriptor.fields, key=lambda field: field.number)
    )


def _turn(field: FieldDescriptor) -> Turn | None:
    if field.message_type is not None:
        return plain
    if field.enum_type is not None:
        names = {number: value.name for number, value in field.enum_type.values_by_number.items()}
        return lambda number: names.get(number, number)
    if field.cpp_type in _WIDE:
        return str
    if field.cpp_type in _FLOATS:
        return _number
    if field.type == FieldDescriptor.TYPE_BYTES:
        return lambda value: base64.b64encode(value).decode("ascii")
    return None


def _number(value: float) -> float | str:
    """Return a number, or the word that JSON has instead."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
