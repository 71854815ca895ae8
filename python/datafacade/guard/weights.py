"""Say what a venue charges for a request. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

from datafacade.config import ParameterWeight

DEFAULT: Final = 1  # of a path of which nothing is documented


def weight_of(path: str, weights: Mapping[str, int | ParameterWeight]) -> int:
    """Return the weight of a path with query; what a parameter's value does not decide costs the most.

    Example:
        >>> weight_of("/api/v3/klines?symbol=BTCUSDT", {"/api/v3/klines": 2})
        2
    """
    rule = weights.get(path.partition("?")[0], DEFAULT)
    if isinstance(rule, int):
        return rule
    value = parameter_of(path, rule.parameter)
    if value is None:
        return rule.absent
    if not rule.steps:
        return rule.present
    number = int(value[:18]) if value.isascii() and value.isdigit() else None
    dearest = max(step.weight for step in rule.steps)
    if number is None:
        return dearest
    return next((step.weight for step in rule.steps if number <= step.upto), dearest)


def parameter_of(path: str, name: str) -> str | None:
    """Return the value of a parameter of a path with query; None: it is not there."""
    return dict(parse_qsl(path.partition("?")[2], keep_blank_values=True)).get(name)
