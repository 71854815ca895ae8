"""Read all files, check them whole, and name file, line and key of the first thing that is wrong."""

from __future__ import annotations

import difflib
import importlib.resources
import json
import os
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Final, TypeVar, get_args

from pydantic import SecretStr, TypeAdapter, ValidationError

from datafacade.config.aggregators import Aggregators
from datafacade.config.service import Service
from datafacade.config.sources import Cache, DataSources, Pit, ProviderRules
from datafacade.config.strict_yaml import Document, dotted, parse
from datafacade.config.strict_yaml import Path as KeyPath
from datafacade.config.tree import Config, check
from datafacade.config.upstream import Circuits, RateLimits, Venues
from datafacade.errors import ConfigError

FILES: Final[dict[str, type[Any]]] = {
    "service.yaml": Service,
    "venues.yaml": Venues,
    "rate_limits.yaml": RateLimits,
    "circuits.yaml": Circuits,
    "cache.yaml": Cache,
    "pit.yaml": Pit,
    "data_sources.yaml": DataSources,
    "provider_rules.yaml": ProviderRules,
    "aggregators.yaml": Aggregators,
}
_DEFAULTS: Final = importlib.resources.files("datafacade.config") / "defaults"
_UNKNOWN: Final = ("unexpected_keyword_argument", "extra_forbidden")
_MISSING: Final = ("missing", "missing_argument", "missing_keyword_only_argument")

T = TypeVar("T")


def load_config(
    folder: str | os.PathLike[str] | None = None, *, environment: Mapping[str, str] | None = None
) -> Config:
    """Return the configuration: the packaged files, each replaced by one of the same name in ``folder``.

    Args:
        folder: Where own files lie; None: packaged defaults only.
        environment: Where ``${NAME}`` looks; None: the process environment.

    Raises:
        ConfigError: A file cannot be read or breaks a rule. Names file, line and key; shows no secret.

    Example:
        >>> load_config().service.hot.max_pairs
        30
    """
    variables = os.environ if environment is None else environment
    own = _own_files(folder)
    documents: dict[str, Document] = {}
    sections: dict[str, Any] = {}
    for name, kind in FILES.items():
        file, text = _read(name, own)
        documents[name] = parse(text, file=file, environment=variables)
        sections[name.removesuffix(".yaml")] = _validate(kind, documents[name])
    config = Config(**sections)
    try:
        check(config)
    except ConfigError as error:
        document = documents[error.file]
        error.file, error.line = document.file, document.line(tuple(error.key.split(".")))
        raise
    return config


def _own_files(folder: str | os.PathLike[str] | None) -> dict[str, Path]:
    if folder is None:
        return {}
    root = Path(folder)
    if not root.is_dir():
        raise ConfigError(str(root), 0, "", "no such folder")
    own = {path.name: path for path in sorted(root.iterdir()) if path.suffix in (".yaml", ".yml")}
    for name, path in own.items():
        if name not in FILES:
            raise ConfigError(str(path), 0, "", f"no such configuration file{_near(name, FILES)}")
    return own


def _read(name: str, own: Mapping[str, Path]) -> tuple[str, str]:
    if name not in own:
        return f"defaults/{name}", (_DEFAULTS / name).read_text(encoding="utf-8")
    try:
        return str(own[name]), own[name].read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(own[name]), 0, "", f"cannot be read: {type(error).__name__}") from None


def _validate(kind: type[T], document: Document) -> T:
    try:
        # JSON mode is strict about types and still takes lists for tuples and words for enums.
        return TypeAdapter(kind).validate_json(json.dumps(document.data), strict=True)
    except ValidationError as error:
        raise _explain(error, kind, document) from None


def _explain(error: ValidationError, kind: type[Any], document: Document) -> ConfigError:
    """Turn pydantic's first complaint, by line, into one of ours."""
    problems = error.errors(include_url=False, include_context=False)
    paths = [(_known_path(problem["loc"], document), problem) for problem in problems]
    path, problem = min(paths, key=lambda item: document.line(item[0]))
    if problem["type"] in _UNKNOWN:
        text = f"unknown key{_near(str(path[-1]), _keys(kind, path[:-1]))}"
    elif problem["type"] in _MISSING:
        path, text = problem["loc"], "missing key"
    else:
        hidden = _is_hidden(path, document) or _type_at(kind, path) is SecretStr
        received = "***" if hidden else repr(problem["input"])[:80]
        text = f"{problem['msg'][:1].lower()}{problem['msg'][1:]}, received {received}"
    return ConfigError(document.file, document.line(path), dotted(path), text)


def _known_path(location: KeyPath, document: Document) -> KeyPath:
    """Drop pydantic's own words (``[key]``, names of union members) from a location."""
    path: KeyPath = ()
    for part in location:
        if (*path, part) in document.lines:
            path = (*path, part)
    return path


def _is_hidden(path: KeyPath, document: Document) -> bool:
    """Tell whether a value, or anything inside it, came from the environment."""
    return any(hidden[: len(path)] == path for hidden in document.from_environment)


def _keys(kind: object, path: KeyPath) -> list[str]:
    """Return the keys that the section at ``path`` knows; none for free maps."""
    section = _type_at(kind, path)
    return [f.name for f in fields(section)] if is_dataclass(section) else []


def _type_at(kind: object, path: KeyPath) -> object:
    for part in path:
        kind = _step(kind, part)
    return kind


def _step(kind: object, part: str | int) -> object:
    if is_dataclass(kind):
        return next((f.type for f in fields(kind) if f.name == part), None)
    arguments = get_args(kind)  # dict[Name, Venue], Annotated[dict[Name, Venue], ...], tuple[Window, ...]
    if arguments and not is_dataclass(arguments[-1]) and get_args(arguments[0]):
        arguments = get_args(arguments[0])
    return next((a for a in reversed(arguments) if is_dataclass(a)), None)


def _near(word: str, words: Mapping[str, object] | list[str]) -> str:
    nearest = difflib.get_close_matches(word, list(words), n=1, cutoff=0.6)
    return f", did you mean {nearest[0]}" if nearest else ""
