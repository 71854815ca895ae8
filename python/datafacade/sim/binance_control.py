"""Binance's WebSocket control messages: parse one, or say why not in the venue's words. Pure.

Source: venues/binance.md section 3, 2026-07-21.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

METHODS: Final = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
PROPERTIES: Final = ("combined",)
ID_LENGTH_MAX: Final = 36


class Refused(Exception):
    """The venue answers with an error; ``text`` is the whole answer."""

    def __init__(self, code: int, message: str, id_: object = None, *, has_id: bool = False) -> None:
        super().__init__(message)
        body: dict[str, object] = {"code": code, "msg": message}
        if has_id:
            body["id"] = id_
        self.text = json.dumps(body, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Request:
    """A well-formed control message."""

    method: str
    params: list[object]
    id: object  # int, str or None, echoed


def parse(text: str) -> Request:
    """Return the request in ``text``.

    Raises:
        Refused: It is not one.
    """
    try:
        body = json.loads(text)
    except ValueError:
        raise Refused(3, "Invalid JSON: expected value at line 1 column 1") from None
    if not isinstance(body, dict):
        raise Refused(2, "Invalid request: expected an object")
    id_ = body.get("id")
    if not _is_id(id_):
        raise Refused(
            2, "Invalid request: request ID must be a 64-bit integer, a string of up to 36 signs or null"
        )
    method = body.get("method")
    if method is None:
        raise Refused(2, "Invalid request: missing field `method`", id_, has_id=True)
    if method not in METHODS:
        wanted = ", ".join(f"`{name}`" for name in METHODS)
        raise Refused(
            2, f"Invalid request: unknown variant `{method}`, expected one of {wanted}", id_, has_id=True
        )
    params = body.get("params", [])
    if not isinstance(params, list):
        raise Refused(2, "Invalid request: params must be a list", id_, has_id=True)
    return Request(str(method), params, id_)


def _is_id(value: object) -> bool:
    if value is None:
        return True
    if isinstance(value, bool):
        return False
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    return isinstance(value, str) and len(value) <= ID_LENGTH_MAX


def result(value: object, id_: object) -> str:
    """Return the answer to a request that succeeded; it is never wrapped."""
    return json.dumps({"result": value, "id": id_}, separators=(",", ":"))
