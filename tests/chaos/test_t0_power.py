"""Power loss at any call: what was acknowledged is there and whole, nothing else is ever half there."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from datafacade.errors import FacadeError, PitExists, PitNotFound
from datafacade.store.pit import retention
from datafacade.store.pit.content import Part, prepare
from datafacade.store.pit.files import Folder
from datafacade.store.pit.names import TEMP
from datafacade.store.pit.record import Draft, PitRef
from datafacade.store.pit.vault import Vault
from datafacade.store.pit.verify import verify
from tests.chaos.disks.simulated import Disk, Names, PowerLoss
from tests.chaos.harness.tier import TIER
from tests.unit.store.pit.fakes import HOUR, START, ManualClock

pytestmark = pytest.mark.chaos

SEEDS = 10_000 if TIER > 1 else 1_000
CHUNKS = 10
LIVES = 3  # of one store: started, written, power lost


@dataclass
class Story:
    """What clients of one store know."""

    acknowledged: dict[str, bytes] = field(default_factory=dict)
    asked: dict[str, bytes] = field(default_factory=dict)
    going: set[str] = field(default_factory=set)  # retention may have taken them, whole
    numbers: int = 0

    def draft(self, draw: random.Random, clock: ManualClock) -> Draft:
        """Return the next answer."""
        self.numbers += 1
        message = b"answer %d" % self.numbers + b"." * draw.randint(0, 40)
        return Draft(
            entity=f"warm.klines/binance/{draw.choice(('BTC', 'ETH'))}-USDT/1h",
            kind="K",
            message=message,
            readable={"answer": self.numbers},
            ts_wall=clock.wall,
        )


def live(disk: Disk, story: Story, draw: random.Random) -> None:
    """Start the store, then commit, label and clean up until the power goes or enough was done."""
    clock = ManualClock(START + story.numbers * HOUR)
    vault = start(disk, clock, draw)
    for _ in range(draw.randint(1, 4)):
        drafts = [story.draft(draw, clock) for _ in range(draw.randint(1, 4))]
        group = [prepare(draft, ts_wall=clock.wall, ts_mono=1) for draft in drafts]
        story.asked |= {one.id: draft.message for one, draft in zip(group, drafts, strict=True)}
        refused = draw.choice(group) if draw.random() < 0.2 else None
        if refused is not None:
            plant(disk.folder(), draw.choice(refused.parts))
        for one, outcome in zip(group, vault.commit(group), strict=True):
            if one is refused:
                assert isinstance(outcome, PitExists), outcome
                continue
            assert isinstance(outcome, PitRef), outcome
            story.acknowledged[one.id] = story.asked[one.id]
        clock.wall += HOUR
        if draw.random() < 0.3:
            vault.manifest.fold(vault.writer.publish, least=1)
        if draw.random() < 0.3:
            now = clock.wall + 25 * HOUR
            old = vault.catalog.index.refs()
            story.going |= {ref.id for ref in old if ref.ts_wall + 24 * HOUR <= now}
            clock.wall, before = now, clock.wall
            retention.sweep(vault, is_confirmed=draw.random() < 0.5)
            clock.wall = before
    vault.close()


def plant(root: Folder, part: Part) -> None:
    """Put a file of somebody else where a part is to be: its snapshot is refused, the others are not."""
    for name in part.folder:
        root.make(name)
        root = root.open(name)
    file = root.create(part.name)
    file.write(b"not ours")
    file.close()


def start(disk: Disk, clock: ManualClock, draw: random.Random) -> Vault:
    """Open the store of a disk."""
    token = f"{draw.getrandbits(64):016x}"
    return Vault.inside(disk.folder(), is_writable=True, clock=clock, token=token, is_parallel=False)


def judge(disk: Disk, story: Story, draw: random.Random) -> str:
    """Return what is wrong after the next start; nothing: all is as promised."""
    vault = start(disk, ManualClock(START + 1_000 * HOUR), draw)
    root = disk.folder()
    for snapshot_id, message in story.asked.items():
        try:
            if vault.get(snapshot_id).message != message:
                return f"{snapshot_id} is another"
        except PitNotFound:
            if snapshot_id in story.acknowledged and snapshot_id not in story.going:
                return f"{snapshot_id} was acknowledged and is gone"
        except FacadeError as error:
            return f"{snapshot_id}: {error}"
    verdict = verify(root)
    if verdict.damages or verdict.ok != verdict.snapshots:
        return f"damage: {verdict.damages}"
    temps = [name for name in names_in(disk.root) if name.startswith(TEMP)]
    return f"left behind: {temps} {verdict.unlisted}" if temps or verdict.unlisted else ""


def names_in(names: Names) -> Iterator[str]:
    """Yield every name below a directory."""
    for name, what in names.now.items():
        yield name
        if isinstance(what, Names):
            yield from names_in(what)


def run(seed: int, *, syncs_folders: bool = True) -> str:
    """Return what is wrong with one story of a store; nothing: it is as promised."""
    draw, story = random.Random(seed), Story()
    disk = Disk(syncs_folders=syncs_folders)
    for life in range(LIVES):
        least = 60 if life == LIVES - 1 else 1  # late enough to have asked for something
        disk.dies_at = draw.choice((draw.randint(least, 60), draw.randint(least, 250)))
        try:
            live(disk, story, draw)
        except PowerLoss:
            disk = disk.after_power_loss(draw)
        else:
            disk = disk.after_power_loss(draw) if draw.random() < 0.5 else disk
            disk.steps = disk.dies_at = 0
        disk.dies_at = disk.steps + draw.randint(1, 40) if draw.random() < 0.3 else 0
        try:
            problem = judge(disk, story, draw)
        except PowerLoss:  # in the middle of putting in order
            disk = disk.after_power_loss(draw)
            problem = judge(disk, story, draw)
        if problem:
            return problem
        disk.steps = 0
    return "" if story.asked else "nothing was asked"


@pytest.mark.proves("ROW-F02")
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_power_loss_takes_nothing_that_was_acknowledged_and_leaves_nothing_half(chunk: int) -> None:
    problems = {seed: problem for seed in range(chunk, SEEDS, CHUNKS) if (problem := run(seed))}
    assert not problems, f"{len(problems)} of {SEEDS // CHUNKS} seeds, as {next(iter(problems.items()))}"


@pytest.mark.proves("ROW-F02")
def test_a_store_that_never_syncs_directories_is_found_out() -> None:
    problems = [problem for seed in range(60) if (problem := run(seed, syncs_folders=False))]
    assert any("acknowledged and is gone" in problem or "damage" in problem for problem in problems)
