"""Read the small part of YAML that a configuration needs, and remember where each key stands.

Maps, lists and plain scalars only: no anchors, tags, duplicate keys, octal numbers, ``yes`` for true, or
sexagesimal surprises. ``${NAME}`` and ``${NAME:default}`` take a value from the environment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import yaml

from datafacade.errors import ConfigError

TEXT_BYTES_MAX: Final = 2**20
DEPTH_MAX: Final = 16

Path = tuple[str | int, ...]
Plain = bool | int | float | str | list["Plain"] | dict[str, "Plain"] | None

_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::([^}]*))?\}")
_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,19}")
_FLOAT: Final = re.compile(r"[-+]?(?:[0-9]{1,19}\.[0-9]*|\.[0-9]+|[0-9]{1,19})(?:[eE][-+]?[0-9]{1,3})?")
_NOT_FINITE: Final = re.compile(r"[-+]?\.?(?:nan|inf|infinity)", re.IGNORECASE)


@dataclass(slots=True, kw_only=True)
class Document:
    """One file as data, with the line of each key and the paths whose values came from the environment."""

    file: str
    data: Plain = None
    lines: dict[Path, int] = field(default_factory=dict)
    from_environment: set[Path] = field(default_factory=set)

    def line(self, path: Path) -> int:
        """Return the line of a key, or of the nearest map around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 0)


def parse(text: str, *, file: str, environment: Mapping[str, str]) -> Document:
    """Return the document.

    Args:
        text: The file's content.
        file: Its name, for messages.
        environment: Where ``${NAME}`` looks.

    Raises:
        ConfigError: It is no YAML, uses what is left out here, or names a variable that is not set.
    """
    document = Document(file=file)
    if len(text) > TEXT_BYTES_MAX:
        raise ConfigError(file, 0, "", f"file is larger than {TEXT_BYTES_MAX} bytes")
    _refuse_aliases(text, file)
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)  # builds nodes only, no objects
    except yaml.YAMLError as error:
        raise _syntax(error, file) from None
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(file, 1, "", "expected a map of keys at the top")
    document.data = _build(node, (), document, environment)
    return document


def _refuse_aliases(text: str, file: str) -> None:
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if getattr(event, "anchor", None) or getattr(event, "tag", None):
                problem = "anchors, aliases and tags are not allowed"
                raise ConfigError(file, _line(event.start_mark), "", problem)
    except yaml.YAMLError as error:
        raise _syntax(error, file) from None


def _syntax(error: yaml.YAMLError, file: str) -> ConfigError:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or "no YAML"
    return ConfigError(file, _line(mark), "", str(problem))


def _line(mark: object) -> int:
    return int(getattr(mark, "line", -1)) + 1


def _build(node: yaml.Node, path: Path, document: Document, environment: Mapping[str, str]) -> Plain:
    if len(path) > DEPTH_MAX:
        raise ConfigError(document.file, _line(node.start_mark), dotted(path), "nested too deeply")
    document.lines.setdefault(path, _line(node.start_mark))
    if isinstance(node, yaml.MappingNode):
        return _map(node, path, document, environment)
    if isinstance(node, yaml.SequenceNode):
        return [_build(item, (*path, i), document, environment) for i, item in enumerate(node.value)]
    return _scalar(node, path, document, environment)


def _map(
    node: yaml.MappingNode, path: Path, document: Document, environment: Mapping[str, str]
) -> dict[str, Plain]:
    result: dict[str, Plain] = {}
    for key_node, value_node in node.value:
        line = _line(key_node.start_mark)
        if not isinstance(key_node, yaml.ScalarNode):
            raise ConfigError(document.file, line, dotted(path), "expected a word as key")
        key = str(key_node.value)
        child = (*path, key)
        if key in result:
            first = document.lines[child]
            raise ConfigError(document.file, line, dotted(child), f"key stands twice, first in line {first}")
        document.lines[child] = line
        result[key] = _build(value_node, child, document, environment)
    return result


def _scalar(
    node: yaml.Node, path: Path, document: Document, environment: Mapping[str, str]
) -> bool | int | float | str | None:
    line = _line(node.start_mark)

    def value_of(match: re.Match[str]) -> str:
        name, default = match.group(1), match.group(2)
        value = environment.get(name, default)
        if value is None:
            raise ConfigError(
                document.file,
                line,
                dotted(path),
                f"environment variable {name} is not set and has no default",
            )
        document.from_environment.add(path)
        return value

    text = _VARIABLE.sub(value_of, str(node.value))
    if isinstance(node, yaml.ScalarNode) and node.style is not None:
        return text  # quoted or block text stays text
    if _NOT_FINITE.fullmatch(text):
        raise ConfigError(document.file, line, dotted(path), "expected a finite number")
    return _resolve(text)


def _resolve(text: str) -> bool | int | float | str | None:
    if text in ("", "null", "~"):
        return None
    if text in ("true", "false"):
        return text == "true"
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def dotted(path: Path) -> str:
    """Write a path as people do: ``venues.kraken.feeds``."""
    return ".".join(str(part) for part in path)
