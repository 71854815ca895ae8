"""The simulator is an independent witness: it imports nothing else of this project."""

import ast
from pathlib import Path

import datafacade.sim

ROOM = Path(datafacade.sim.__file__).parent
FOREIGN = {"aiohttp", "websockets"}


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def test_it_imports_nothing_of_ours() -> None:
    for path in ROOM.glob("*.py"):
        ours = {name for name in imported(path) if name.split(".")[0] == "datafacade"}
        assert all(name == "datafacade.sim" or name.startswith("datafacade.sim.") for name in ours), path


def test_only_the_sockets_come_from_outside_the_standard_library() -> None:
    import sys

    for path in ROOM.glob("*.py"):
        roots = {name.split(".")[0] for name in imported(path)} - {"datafacade", "__future__"}
        assert roots - set(sys.stdlib_module_names) <= FOREIGN, path


def test_files_stay_readable() -> None:
    for path in ROOM.glob("*.py"):
        assert len(path.read_text().splitlines()) < 400, path
