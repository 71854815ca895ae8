"""One test bed: simulator, service and probe, their logs, and what a row needs of them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from datafacade.check import Verdict, judge
from datafacade.check.control import ControlLog, read_control
from datafacade.check.held import Held, rest_ports
from datafacade.check.names import BOOK, TRADES, Topic
from datafacade.check.process import CONTROL
from datafacade.check.story import Story, Told, is_state
from datafacade.check.truth import Truth
from datafacade.v1 import hot_pb2, stream_pb2
from tests.chaos.harness.figures import Figures, announce
from tests.chaos.harness.probe import DATA, ProbeProcess, subscription
from tests.chaos.harness.service import MODULE, ServiceProcess, write_config
from tests.chaos.harness.simulator import SimulatorProcess
from tests.chaos.harness.tier import IS_FULL
from tests.chaos.harness.wait import COMES_S, until

LIVE_S: Final = 30
BACK_S: Final = 5.0
IDLE_S: Final = 1.0  # without a change: lines that were left are closed within it
REST_S: Final = 10.0  # until nothing changes any more
MS: Final = 1_000_000
ALL: Final = (
    "binance/spot",
    "binance/usdm",
    "okx/public",
    "coinbase/advanced",
    "coinbase/exchange",
    "kraken/spot",
)
SCALE: Final = 1.0 if IS_FULL else 0.2  # of all waits of the service
QUOTES: Final = {"binance": "USDT", "binance-usdm": "USDT", "okx": "USDT", "coinbase": "USD", "kraken": "USD"}
HASHES: Final = ("--hash-every-ms", "100", "--full-hash-every-ms", "500")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a bed is made of."""

    products: Sequence[str] = ALL
    bases: Sequence[str] = ("BTC", "ETH")  # that the bed's probe follows
    spare: Sequence[str] = ()  # that rows may ask for
    seed: int = 7
    rate: float = 20.0
    scale: float = SCALE
    service: Mapping[str, Any] = field(default_factory=dict)
    spares_dials: bool = False
    module: str = MODULE  # what is run as the service
    variables: Mapping[str, str] = field(default_factory=dict)
    simulator: Sequence[str] = ()  # further arguments of the simulator
    every_venue: Mapping[str, Any] = field(default_factory=dict)  # further figures in venues.yaml
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # further files of the configuration
    prefix: Sequence[str] = ()  # of the command that starts the service

    @property
    def venues(self) -> list[str]:
        """Return the venues as the service names them."""
        names = [product.split("/") for product in self.products]
        found = [f"{venue}-{kind}" if kind in ("usdm", "coinm") else venue for venue, kind in names]
        return list(dict.fromkeys(found))


class Bed:
    """A running bed. ``row`` opens the window of one fault row."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.plan = plan
        self.folder = folder
        announce(plan.seed)
        self.control = ControlLog(folder / "control.jsonl")
        self.simulator = SimulatorProcess(
            folder,
            products=plan.products,
            bases=[*plan.bases, *plan.spare],
            seed=plan.seed,
            rate=plan.rate,
            more=[*HASHES, *plan.simulator],
        )
        self.rest_ports = rest_ports(self.simulator.ports["venues"])
        self.config = write_config(
            folder / "config",
            self.simulator.ports,
            scale=plan.scale,
            service=plan.service,
            spares_dials=plan.spares_dials,
            every_venue=plan.every_venue,
            files=plan.files,
        )
        self.service = ServiceProcess(
            self.config, module=plan.module, variables=plan.variables, prefix=plan.prefix
        ).wait_ready()
        self._probes = 0
        self.probe = self.new_probe()
        for number, venue in enumerate(plan.venues, 1):
            self.probe.send(subscription([venue], self.symbols(venue), number=number))
        self.topics = [
            Topic(venue, symbol, channel)
            for venue in plan.venues
            for symbol in self.symbols(venue)
            for channel in (BOOK, TRADES)
        ]

    def symbols(self, venue: str) -> list[str]:
        """Return the canonical symbols of a venue."""
        return [f"{base}-{QUOTES[venue]}" for base in self.plan.bases]

    def new_probe(self) -> ProbeProcess:
        """Start another probe."""
        self._probes += 1
        return ProbeProcess(self.service.address, self.folder / f"probe-{self._probes}.bin")

    def warm_up(self, *, settles: bool = True) -> Bed:
        """Wait until all is LIVE, reconnect everything once, and take the control count of resources.

        Args:
            settles: Wait until a reconnect counts as a first attempt again.
        """
        self.probe.wait_live(self.topics, within_s=LIVE_S)
        since = time.monotonic_ns()
        self.simulator.arm("rst")
        for topic in self.topics:
            self.probe.wait_for(
                topic, lambda one: is_state(one, 3), since_ns=since, within_s=LIVE_S, what="back"
            )
        self.probe.wait_live(self.topics, within_s=LIVE_S)
        live = time.monotonic()
        self.wait_whole(since)
        self.wait_idle()
        if settles:
            self.settle(since_s=live)
        self.service.health()  # opens the harness's own connection, which stays
        self.sample(CONTROL)
        return self

    def wait_whole(self, since_ns: int) -> None:
        """Wait until each topic told news behind a reset, and what became of its gap.

        A topic is LIVE before the first trade behind a reset shows what was lost: that gap belongs to the
        reset, not to the row that comes next.
        """
        for topic in self.topics:
            self.probe.wait_for(
                topic, lambda one: one.kind in DATA, since_ns=since_ns, within_s=LIVE_S, what="goes on"
            )
            until(lambda: not open_gaps(self.probe.of(topic)), within_s=LIVE_S, what=f"{topic}: gaps end")  # noqa: B023

    def held(self) -> Held:
        """Return what the service holds, connections to REST apart."""
        return self.service.held(self.rest_ports)

    def wait_idle(self) -> None:
        """Wait until the service holds the same threads and descriptors for a while, REST apart.

        Raises:
            AssertionError: They change all the time; names the last counts.
        """
        counts = [self.held()]
        since = time.monotonic()

        def look() -> bool:
            nonlocal since
            now = self.held()
            if (now.threads, now.fds) != (counts[-1].threads, counts[-1].fds):
                counts.append(now)
                since = time.monotonic()
            return time.monotonic() - since > IDLE_S

        try:
            until(look, within_s=REST_S, what="the service rests")
        except AssertionError as error:
            raise AssertionError(f"{error}; it held {counts[-5:]}") from None

    def settle(self, *, since_s: float | None = None) -> None:
        """Wait until reconnects count as first attempts again: 30 s LIVE in the product's scaled time.

        Args:
            since_s: When all was LIVE, monotonic; None: now.
        """
        settled_s = self.plan.service.get("hot", {}).get("feed", {}).get("settled_ms", 30_000) / 1000
        start = time.monotonic() if since_s is None else since_s
        wait_s = settled_s * self.plan.scale + 0.1
        until(lambda: time.monotonic() - start > wait_s, within_s=wait_s + 1, what="settled")

    def pace(self, base: str, steps_per_s: float) -> None:
        """Let all markets of an asset take so many steps a second."""
        for quote in {QUOTES[venue] for venue in self.plan.venues}:
            fault = self.simulator.arm("pace", symbol=f"{base}-{quote}", steps_per_s=steps_per_s)
            self.simulator.applied(fault)

    # Resources

    def sample(self, phase: str) -> bool:
        """Write down what the service holds; tell whether it is within the last control count."""
        now = self.held()
        if phase == CONTROL:
            self._allowed = now
        self.control.note("resources", phase=phase, **asdict(now))
        return now.is_within(self._allowed)

    def wait_given_back(self, phase: str) -> None:
        """Look at the resources until they are back or I8's time is over; the checker judges it."""
        end = time.monotonic() + BACK_S
        until(lambda: self.sample(phase) or time.monotonic() > end, within_s=BACK_S + 5, what=phase)

    # Judgement

    def verdicts(self, topics: Iterable[Topic], probe: ProbeProcess | None = None) -> list[Verdict]:
        """Judge what these topics told a probe so far, the bed's own if none is named."""
        probe = probe or self.probe
        probe.news()
        wanted = set(topics)
        story = Story(
            responses=probe.story.responses,
            topics={topic: told for topic, told in probe.story.topics.items() if topic in wanted},
            order=probe.story.order,
        )
        truth = self.simulator.truth_until(time.monotonic_ns())
        venues = {topic.venue for topic in wanted}
        kept = Truth(
            sent=[frame for frame in truth.sent if frame.topic in wanted or frame.topic.venue in venues],
            applied=truth.applied,
            connections=truth.connections,
            snapshots=truth.snapshots,
            trades=truth.trades,
        )
        with self.control.path.open(encoding="utf-8") as lines:
            control = read_control(lines)
        return judge(kept, control, story)

    def assert_invariants(self, topics: Sequence[Topic], probe: ProbeProcess | None = None) -> None:
        """Hold all invariants but I6, which `Row` holds, and I9: Health is not sampled.

        Raises:
            AssertionError: One is broken, or had nothing to compare.
        """
        left_out = ("I6", "I9")
        verdicts = [one for one in self.verdicts(topics, probe) if one.invariant not in left_out]
        broken = [str(verdict) for verdict in verdicts if not verdict.holds]
        assert not broken, "\n".join(broken)
        vacuous = [verdict.invariant for verdict in verdicts if verdict.is_vacuous]
        if all(topic.venue == "kraken" and topic.channel == BOOK for topic in topics):
            vacuous = [name for name in vacuous if name not in ("I1", "I2")]  # nothing is numbered
        if not any(topic.channel == BOOK for topic in topics):
            vacuous = [name for name in vacuous if name != "I5"]  # no state that could be wrong
        assert not vacuous, f"nothing to compare for {', '.join(vacuous)}"

    def request(
        self, venue: str, symbols: Sequence[str], channels: Sequence[int], *, number: int = 1
    ) -> hot_pb2.HotSubscribeRequest:
        """Return a request of a further probe."""
        return subscription([venue], symbols, channels, number=number)

    @contextlib.contextmanager
    def row(self, name: str, topics: Sequence[Topic]) -> Iterator[Row]:
        """Open the window of a row that harms these topics; hold the invariants at its end."""
        self.probe.wait_live(self.topics, within_s=LIVE_S)
        row = Row(name, self, topics)
        self.control.note("row", name=name)
        try:
            yield row
        finally:  # a row that fails leaves no fault to the next one
            self.simulator.end_all()
        self.probe.wait_live(self.topics, within_s=LIVE_S)
        self.wait_given_back(f"after {name}")
        for figures in row.figures.values():
            figures.check()
        row.assert_others_untouched()
        followed = [topic for topic in topics if topic in self.topics]
        if followed:
            self.assert_invariants(followed)

    def close(self) -> None:
        """End everything."""
        self.probe.close()
        self.service.close()
        self.simulator.stop()
        self.control.close()


def open_gaps(told: Sequence[Told]) -> set[int]:
    """Return the gaps of a topic that may still be filled, by number."""
    found: set[int] = set()
    for one in told:
        if one.kind == "gap":
            is_open = one.update.gap.state == stream_pb2.GAP_STATE_OPEN
            (found.add if is_open else found.discard)(one.update.gap.gap_id)
    return found


class Row:
    """The window of one row."""

    def __init__(self, name: str, bed: Bed, topics: Sequence[Topic]) -> None:
        self.name = name
        self.bed = bed
        self.topics = topics
        self.start_ns = time.monotonic_ns()
        self.figures: dict[str, Figures] = {}

    def measure(self, name: str, limit_ms: float, since_ns: int, until_ns: int) -> None:
        """Add a measurement from ``since_ns`` to ``until_ns``; the limit belongs to the figure."""
        figures = self.figures.setdefault(name, Figures(self.name, name, limit_ms))
        figures.add(until_ns - since_ns)

    def left_live(self, topic: Topic, since_ns: int, *, within_s: float = COMES_S) -> Told:
        """Wait for the first state record that is not LIVE."""
        return self.bed.probe.wait_for(
            topic,
            lambda one: is_state(one) and not is_state(one, 3),
            since_ns=since_ns,
            within_s=within_s,
            what=f"leaves LIVE ({self.name})",
        )

    def back_live(self, topic: Topic, behind: Told, *, within_s: float = COMES_S) -> Told:
        """Wait for the first LIVE record behind another record."""
        told = self.bed.probe.of(topic)
        place = next(at for at, one in enumerate(told) if one is behind)

        def look() -> Told | None:
            told = self.bed.probe.of(topic)
            return next((one for one in told[place + 1 :] if is_state(one, 3)), None)

        return until(look, within_s=within_s, what=f"{topic}: LIVE again ({self.name})")

    def between(self, topic: Topic, first: Told, last: Told) -> list[Told]:
        """Return what a topic told between two of its records."""
        told = self.bed.probe.of(topic)
        places = [at for at, one in enumerate(told) if one is first or one is last]
        return told[places[0] + 1 : places[1]]

    def compare(self, probe: ProbeProcess, topics: Sequence[Topic]) -> None:
        """Hold the invariants over what another probe was told."""
        broken = [str(verdict) for verdict in self.bed.verdicts(topics, probe)[:5] if not verdict.holds]
        assert not broken, "\n".join(broken)

    def assert_others_untouched(self) -> None:
        """Hold I6: no other topic changed its state in this window."""
        harmed = set(self.topics)
        for topic in self.bed.topics:
            if topic in harmed:
                continue
            told = self.bed.probe.of(topic)
            states = [one for one in told if one.t_mono_ns >= self.start_ns and is_state(one)]
            assert not states, f"{self.name}: {topic} changed its state: {states[0].update}"
