"""Start the simulator, and the service that takes it for its venues."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from datafacade.cli.demo.children import Child, running
from datafacade.cli.demo.places import Ports
from datafacade.cli.failure import ProgramFailed
from datafacade.cli.output import remark

SERVING: Final = "serving on "


class Pair(NamedTuple):
    """What runs."""

    children: tuple[Child, Child]
    control: str  # URL of the simulator's control port
    target: str  # the service, host:port


async def start_pair(
    stack: contextlib.AsyncExitStack,
    folder: Path,
    *words: str,
    seed: int,
    files: Callable[[Ports], Mapping[str, str]],
    is_bound: bool = False,
) -> Pair:
    """Run both on free ports until ``stack`` ends.

    Args:
        stack: Who ends them.
        folder: Holds the service's configuration and data.
        words: Options of the simulator.
        seed: Of its markets.
        files: Returns the configuration by file name, once the venues' ports are known.
        is_bound: Whether the system kills both when this process is killed (Linux).

    Raises:
        ProgramFailed: One of them does not start.
    """
    simulator = await stack.enter_async_context(
        running("simulator", "datafacade.sim", "--seed", str(seed), *words, is_bound=is_bound)
    )
    ports = json.loads(await simulator.first_line())
    remark(f"simulated venues are ready, seed {seed}, control {ports['control']}")
    config = folder / "config"
    config.mkdir()
    for name, text in files(ports["venues"]).items():
        (config / name).write_text(text, encoding="utf-8")
    words = ("--config", str(config), "--data-dir", str(folder / "data"), "--port", "0")
    service = await stack.enter_async_context(
        running("service", "datafacade.cli.main", "serve", *words, is_bound=is_bound)
    )
    target = (await service.first_line()).removeprefix(SERVING).split(",")[0]
    if not target:
        raise ProgramFailed("the service named no address")
    remark(f"the service is ready at {target}")
    return Pair((simulator, service), ports["control"], target)
