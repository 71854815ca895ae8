"""Turn the client's views into plain values for ``--json``: exact decimal texts, times in ns UTC. Pure."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from decimal import Decimal
from typing import Any


def values(view: object) -> Any:  # noqa: ANN401  JSON
    """Return a view as JSON has it: decimals as texts, views as objects by field, what is absent as null.

    Example:
        >>> values((Decimal("1E+2"), None))
        ['100', None]
    """
    if isinstance(view, Decimal):
        return f"{view:f}"
    if is_dataclass(view) and not isinstance(view, type):
        return {field.name: values(getattr(view, field.name)) for field in fields(view)}
    if isinstance(view, tuple | list):
        named = getattr(view, "_asdict", None)
        return values(named()) if named is not None else [values(one) for one in view]
    if isinstance(view, dict):
        return {name: values(value) for name, value in view.items()}
    return view
