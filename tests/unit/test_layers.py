"""Rooms import downwards only (STYLE R1): read from the sources, nothing is run."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "python" / "datafacade"
LAYERS: dict[str, float] = {
    "errors": 0, "clock": 0, "types": 0,
    "config": 0.5,  # words too, but a bad file is told in the words of errors
    "_core": 1, "v1": 1,
    "rows": 1.5,  # columns of what the contract says
    "cache": 2, "guard": 2, "observe": 2,
    "venues": 3, "store": 3,
    "hot": 4, "warm": 4, "query": 4,
    "overview": 4.5,  # what the tiers tell of themselves, joined for the facade
    "facade": 5,
    "serve": 6, "cli": 6,
    "app": 7,
}  # fmt: skip
BESIDE = {"client": {"client", "rows", "v1"}, "sim": {"sim"}, "check": {"check", "v1"}}
COMPOSERS = {
    "cli"
}  # faces of a program start it: `serve` runs the app, `watch` is a client, `demo` starts both


def rooms_of(path: Path) -> set[str]:
    """Return the rooms of ours that a file imports."""
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        rooms |= {name.split(".")[1] for name in names if name.startswith("datafacade.") and "." in name}
    return rooms


def files() -> list[Path]:
    """Return all modules that somebody wrote."""
    return [path for path in sorted(PACKAGE.rglob("*.py")) if "v1" not in path.relative_to(PACKAGE).parts]


def room_of(path: Path) -> str:
    """Return the room that a file lies in."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_downwards(path: Path) -> None:
    room, imported = room_of(path), rooms_of(path)
    if room == "__init__":
        assert imported <= {"_core"}
    elif room in BESIDE:
        assert imported <= BESIDE[room], f"{room} stands alone"
    elif room in COMPOSERS:
        assert "serve" not in imported, "faces do not import each other"
    else:
        upward = {other for other in imported - {room} if LAYERS[other] >= LAYERS[room]}
        assert not upward, f"{room} must not import {sorted(upward)}"


def test_every_room_has_a_layer() -> None:
    known = LAYERS.keys() | BESIDE.keys() | {"__init__"}
    assert {room_of(path) for path in files()} <= known
