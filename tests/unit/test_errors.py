"""Every error says what it knows in words, with fields that it has."""

from __future__ import annotations

from dataclasses import fields
from string import Formatter

import pytest

from datafacade.errors import DialFailed, FacadeError, InvalidRequest, NotAuthenticated


@pytest.mark.parametrize("kind", FacadeError.__subclasses__(), ids=lambda kind: str(kind.__name__))
def test_what_an_error_says_names_its_own_fields(kind: type[FacadeError]) -> None:
    named = {name for _, name, _, _ in Formatter().parse(kind.says) if name}
    assert named <= {field.name for field in fields(kind)}


def test_a_message_holds_the_values_and_what_looks_like_a_field_in_them_stays_text() -> None:
    assert str(InvalidRequest("depth", "expected 1 to {limit}, received {0}")) == (
        "depth: expected 1 to {limit}, received {0}"
    )
    assert DialFailed("TLS", "expired", venue="okx").message == "dial failed (TLS): expired"
    assert str(NotAuthenticated()) == "NotAuthenticated"
