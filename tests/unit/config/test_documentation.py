"""docs/configuration.md names every key of every file, with the default that holds."""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import SecretStr

from datafacade.config import FILES

PAGE = Path(__file__).parents[3] / "docs" / "configuration.md"
ROW = re.compile(r"^\| `([^`]+)` \| (-|`[^`]*`) \| (.+) \|$")


def rows() -> dict[str, dict[str, str]]:
    """Return what the page says: file, key, default."""
    files: dict[str, dict[str, str]] = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            name = line.removeprefix("## ")
            files[name] = {}
        elif found := ROW.match(line):
            assert found[1] not in files[name], f"{name}: {found[1]} stands twice"
            files[name][found[1]] = found[2]
    return files


def section(kind: Any) -> tuple[str, Any]:  # noqa: ANN401  a type
    """Return the dataclass inside a type and how its keys are reached; none: it is a value."""
    if dataclasses.is_dataclass(kind):
        return "", kind
    arguments = typing.get_args(kind)
    if typing.get_origin(kind) is typing.Annotated:
        return section(arguments[0])
    if typing.get_origin(kind) in (dict, tuple):
        steps, found = section(arguments[1 if typing.get_origin(kind) is dict else 0])
        return (".NAME" if typing.get_origin(kind) is dict else "[]") + steps, found
    inner = (section(argument) for argument in arguments)
    return next(((steps, found) for steps, found in inner if found is not None), ("", None))


def keys(kind: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:  # noqa: ANN401  a type
    """Yield every key of a file with its default."""
    hints = typing.get_type_hints(kind, include_extras=True)
    for field in dataclasses.fields(kind):
        steps, found = section(hints[field.name])
        if found is not None:
            yield from keys(found, f"{prefix}{field.name}{steps}.")
        elif field.default_factory is not dataclasses.MISSING:
            yield prefix + field.name, field.default_factory()
        else:
            yield prefix + field.name, field.default


def plain(value: Any) -> object:  # noqa: ANN401  a default
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return list(value) if isinstance(value, tuple) else value


@pytest.mark.parametrize("name", FILES)
def test_every_key_stands_on_the_page_with_its_default(name: str) -> None:
    told = dict(rows()[name])
    wild = [key.removesuffix("*") for key in told if key.endswith(".*")]
    expected = {key: default for key, default in keys(FILES[name]) if key != "version"}
    named = {key for key in expected if not any(key.startswith(start) for start in wild)}
    assert {key for key in told if not key.endswith(".*")} == named
    for key in named:
        default = expected[key]
        if default is dataclasses.MISSING:
            assert told[key] == "-", key
        else:
            assert yaml.safe_load(told[key].strip("`")) == plain(default), key


def test_there_is_no_other_file() -> None:
    assert list(rows()) == list(FILES)
