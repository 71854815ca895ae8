"""Turn messages of the contract into plain values for ``--json``: enums as words. Pure."""

from __future__ import annotations

import re
from typing import Any

from google.protobuf.message import Message

Field = Any  # protobuf's types know two descriptor classes of the same shape
Enum = Any
Json = Any


def plain(message: Message) -> dict[str, Any]:
    """Return all fields of a message by name; absent ones are null, bytes are hex digits."""
    return {field.name: _field(message, field) for field in message.DESCRIPTOR.fields}


def _field(message: Message, field: Field) -> Json:
    value = getattr(message, field.name)
    if field.is_repeated:
        return [_value(one, field) for one in value]
    if field.has_presence and not message.HasField(field.name):
        return None
    return _value(value, field)


def _value(value: Json, field: Field) -> Json:
    if field.message_type is not None:
        return plain(value)
    if field.enum_type is not None:
        return word(field.enum_type, value)
    return value.hex() if isinstance(value, bytes) else value


def word(enum: Enum, number: int) -> str | int:
    """Return the word of an enum's number without the enum's name; a number that is not known stays one."""
    value = enum.values_by_number.get(number)
    prefix = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", enum.name).upper() + "_"
    return number if value is None else value.name.removeprefix(prefix)
