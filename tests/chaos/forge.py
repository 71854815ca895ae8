"""Forge the logs of a run in which everything is right, so that a test can break one thing at a time."""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import dataclass, field
from typing import Any, Final

from datafacade.check.book import NaiveBook, plain, whole
from datafacade.check.control import Entry
from datafacade.check.names import Topic
from datafacade.check.probe import ProbeRecord
from datafacade.check.story import Story
from datafacade.check.truth import Truth, read_truth
from datafacade.v1 import hot_pb2, market_pb2, stream_pb2, types_pb2

MS: Final = 1_000_000
START_MONO: Final = 1_000_000_000_000
START_WALL: Final = 1_800_000_000_000_000_000
STEP_NS: Final = 100 * MS
TRAVEL_NS: Final = MS  # from the simulator to the product, and from there to the probe
EPOCH: Final = 1_800_000_000
PRICE_EXPONENT: Final = -2
QUANTITY_EXPONENT: Final = -5
BOOK: Final = types_pb2.CHANNEL_BOOK_L2
TRADES: Final = types_pb2.CHANNEL_TRADES
KLINES: Final = types_pb2.CHANNEL_KLINES
SPELLINGS: Final = {"binance": ("spot", "BTCUSDT", "BTC-USDT"), "kraken": ("spot", "BTC/USD", "BTC-USD")}


@dataclass
class Forgery:
    """Logs that grow step by step. Levels are mantissas at the exponents above."""

    seed: int = 1
    now: int = 0  # ns since the start
    truth: list[dict[str, Any]] = field(default_factory=list)
    control: list[Entry] = field(default_factory=list)
    updates: list[tuple[int, hot_pb2.Update]] = field(default_factory=list)  # monotonic time of the probe
    seqs: dict[tuple[str, int], int] = field(default_factory=dict)
    number: int = 1_000  # the venue's own
    trade_id: int = 50
    faults: int = 0
    traded: list[int] = field(default_factory=list)  # wall times

    epoch: int = EPOCH
    begun: list[int] = field(default_factory=list)  # how many updates stood before each further call
    states: dict[str, int] = field(default_factory=dict)  # by topic, as Health shows them
    is_skipping: bool = False  # subscriptions of books are LATEST

    def __post_init__(self) -> None:
        """Lay out a book of sixty levels a side."""
        self.random = random.Random(self.seed)
        self.bids = {10_000 - step: 100 + step for step in range(60)}
        self.asks = {10_001 + step: 100 + step for step in range(60)}
        self.resources("control")

    # What the simulator would write

    def frame(
        self, venue: str, kind: str, number: int | None, *, channel: str, **more: object
    ) -> dict[str, Any]:
        product, spelling, _ = SPELLINGS[venue]
        record = {
            "type": "frame",
            "t_mono_ns": START_MONO + self.now,
            "t_wall_ns": START_WALL + self.now,
            "venue": venue,
            "product": product,
            "conn": 1,
            "symbol": spelling,
            "channel": channel,
            "kind": kind,
            "sequence": number,
            **more,
        }
        self.truth.append(record)
        return record

    def fault(self, venue: str, verb: str, number: int | None, **options: object) -> None:
        product, spelling, _ = SPELLINGS[venue]
        times = {"t_mono_ns": START_MONO + self.now, "t_wall_ns": START_WALL + self.now}
        self.faults += 1
        one = {"type": "fault", "fault": verb, "verb": verb, "id": self.faults, **times}
        asked = {"venue": f"{venue}/{product}", "symbol": spelling, "options": options}
        about = {"product": f"{venue}/{product}", "conn": 1, "symbol": spelling, "channel": "book"}
        self.truth += [
            {**one, "phase": "armed", **asked},
            {**one, "phase": "applied", "sequence": number, **about},
            {**one, "phase": "ended", **asked, "applied": 1},
        ]

    def digests(self) -> dict[str, str]:
        book = self.mirror()
        return {"top50_sha256": book.sha256(50), "book_sha256": book.sha256()}

    def mirror(self) -> NaiveBook:
        book = NaiveBook()
        book.set(
            book.bids, [(whole(p, PRICE_EXPONENT), whole(q, QUANTITY_EXPONENT)) for p, q in self.bids.items()]
        )
        book.set(
            book.asks, [(whole(p, PRICE_EXPONENT), whole(q, QUANTITY_EXPONENT)) for p, q in self.asks.items()]
        )
        return book

    # What the product would tell

    def update(
        self, venue: str, channel: types_pb2.Channel.ValueType, *, takes_seq: bool = True
    ) -> hot_pb2.Update:
        """Append a blank record of a topic."""
        key = (venue, channel)
        self.seqs[key] = self.seqs.get(key, 0) + takes_seq
        update = hot_pb2.Update(
            venue=venue,
            symbol=SPELLINGS[venue][2],
            channel=channel,
            epoch=self.epoch,
            seq=self.seqs[key],
            ts_event=START_WALL + self.now - 10_000,
            ts_recv=START_WALL + self.now + TRAVEL_NS,
            ts_publish=START_WALL + self.now + TRAVEL_NS,
            price_exponent=PRICE_EXPONENT,
            quantity_exponent=QUANTITY_EXPONENT,
        )
        self.updates.append((START_MONO + self.now + 2 * TRAVEL_NS, update))
        return update

    def accepted(
        self,
        venue: str,
        channel: types_pb2.Channel.ValueType,
        phase: stream_pb2.SubscriptionPhase.ValueType = stream_pb2.SUBSCRIPTION_PHASE_ACCEPTED,
    ) -> None:
        update = self.update(venue, channel, takes_seq=False)
        update.seq = 0
        status = update.subscription_status
        status.phase = phase
        status.seq_next = self.seqs[venue, channel] + 1
        if self.is_skipping and channel == BOOK:
            status.delivery = types_pb2.DELIVERY_MODE_LATEST

    def state(
        self, venue: str, channel: types_pb2.Channel.ValueType, state: types_pb2.State.ValueType
    ) -> None:
        self.update(venue, channel).stream_state.state = state
        self.states[str(Topic(venue, SPELLINGS[venue][2], channel))] = state

    def snapshot(self, venue: str) -> hot_pb2.Update:
        update = self.update(venue, BOOK)
        for price in sorted(self.bids, reverse=True):
            update.book_snapshot.bid_prices.append(price)
            update.book_snapshot.bid_quantities.append(self.bids[price])
        for price in sorted(self.asks):
            update.book_snapshot.ask_prices.append(price)
            update.book_snapshot.ask_quantities.append(self.asks[price])
        if venue == "binance":
            update.venue_sequence = self.number
        return update

    def checkpoint(self, venue: str) -> hot_pb2.Update:
        update = self.update(venue, BOOK, takes_seq=False)
        update.checkpoint.levels = 50
        update.checkpoint.sha256 = bytes.fromhex(self.mirror().sha256(50))
        return update

    def gap(
        self,
        venue: str,
        channel: types_pb2.Channel.ValueType,
        first: int | None,
        last: int | None,
        since_ns: int,
    ) -> hot_pb2.Update:
        update = self.update(venue, channel)
        update.gap.gap_id = update.seq
        update.gap.scope = stream_pb2.GAP_SCOPE_VENUE
        update.gap.state = stream_pb2.GAP_STATE_LOST
        if first is not None and last is not None:
            update.gap.venue_sequence_first, update.gap.venue_sequence_last = first, last
        update.gap.ts_first, update.gap.ts_last = START_WALL + since_ns, START_WALL + self.now
        return update

    # Whole steps

    def begin(self, venue: str) -> None:
        """Let a subscriber come and the book get LIVE."""
        for channel in (BOOK, TRADES):
            self.accepted(venue, channel)
            self.state(venue, channel, types_pb2.STATE_SYNCING)
        self.now += STEP_NS
        self.frame(venue, "snapshot", self.number, channel="book", **self.digests())
        self.snapshot(venue)
        self.state(venue, BOOK, types_pb2.STATE_LIVE)
        self.state(venue, TRADES, types_pb2.STATE_LIVE)
        self.checkpoint(venue)

    def change(self, venue: str, *, is_sent: bool = True, is_told: bool = True) -> hot_pb2.Update | None:
        """Change one level of the true book; the venue tells it and the product repeats it."""
        self.now += STEP_NS
        side, is_bid = (self.bids, True) if self.random.random() < 0.5 else (self.asks, False)
        price = self.random.choice(sorted(side)[-40:] if is_bid else sorted(side)[:40])
        side[price] = self.random.randrange(1, 10**6)
        previous, self.number = self.number, self.number + 3
        number = self.number if venue == "binance" else None
        if not is_sent:
            self.fault(venue, "drop", number)
            return None
        self.frame(venue, "update", number, channel="book", **self.digests())
        if not is_told:
            return None
        update = self.update(venue, BOOK)
        delta = update.book_delta
        prices, quantities = (
            (delta.bid_prices, delta.bid_quantities) if is_bid else (delta.ask_prices, delta.ask_quantities)
        )
        prices.append(price)
        quantities.append(side[price])
        if venue == "binance":
            update.venue_sequence_previous, update.venue_sequence = previous, self.number
        return update

    def trade(self, venue: str, *, is_sent: bool = True, is_told: bool = True) -> hot_pb2.Update | None:
        """Let one trade happen."""
        self.now += STEP_NS // 10
        self.trade_id += 1
        about = {"id": self.trade_id, "price": "100", "quantity": "1"}
        self.market(venue, self.trade_id)
        if not is_sent:
            return None
        self.frame(venue, "update", None, channel="trade", trades=[about])
        return self.tell_trade(venue, self.trade_id) if is_told else None

    def market(self, venue: str, number: int) -> None:
        """Write down a trade of the market, told or not."""
        product, spelling, _ = SPELLINGS[venue]
        times = {"t_mono_ns": START_MONO + self.now, "t_wall_ns": START_WALL + self.now}
        row = [number, "100", "1", "buy", START_WALL + self.now]
        about = {"venue": venue, "product": product, "symbol": spelling, "rows": [row]}
        self.truth.append({"type": "trades", **times, **about})
        self.traded.append(START_WALL + self.now)

    def tell_trade(self, venue: str, number: int) -> hot_pb2.Update:
        """Repeat a trade as the product does."""
        update = self.update(venue, TRADES)
        trade = update.trade
        trade.trade_id, trade.price, trade.quantity, trade.side = number, 10_000, 100_000, types_pb2.SIDE_BUY
        return update

    def kline(self, venue: str, *, since_wall_ns: int) -> hot_pb2.Update:
        """Tell a final and complete bar of all trades of the market since then."""
        update = self.update(venue, KLINES)
        bar, count = update.kline, sum(at >= since_wall_ns for at in self.traded)
        bar.ts_open, bar.ts_close = since_wall_ns, START_WALL + self.now + 1
        bar.open = bar.high = bar.low = bar.close = 10_000
        bar.volume = bar.taker_buy_volume = str(count)
        bar.quote_volume, bar.trade_count = str(100 * count), count
        bar.state = market_pb2.KLINE_STATE_FINAL
        bar.completeness = market_pb2.COMPLETENESS_COMPLETE
        self.now += 30 * STEP_NS  # late trades may enter
        self.update(venue, KLINES, takes_seq=False).heartbeat.state = types_pb2.STATE_LIVE
        return update

    def heal(self, venue: str, first: int, since_ns: int) -> None:
        """Own up to a hole and start from a new snapshot."""
        self.state(venue, BOOK, types_pb2.STATE_RESYNC)
        self.now += STEP_NS
        self.frame(venue, "snapshot", self.number, channel="book", **self.digests())
        is_numbered = venue == "binance"
        self.gap(venue, BOOK, first if is_numbered else None, self.number if is_numbered else None, since_ns)
        self.snapshot(venue)
        self.state(venue, BOOK, types_pb2.STATE_LIVE)

    # Crashes

    def crash(self) -> None:
        """Kill the service and start it again: a later epoch, in which each topic counts from 1."""
        self.control.append({"t_mono_ns": START_MONO + self.now, "action": "kill"})
        self.now += 20 * STEP_NS
        self.epoch += 100
        self.begun.append(len(self.updates))
        self.resources("control", pid=4_712)

    def resume(self, venue: str, channel: types_pb2.Channel.ValueType) -> None:
        """Go on behind the end of the old epoch as the service does it."""
        self.accepted(venue, channel, stream_pb2.SUBSCRIPTION_PHASE_RESUMED)
        gap = self.update(venue, channel, takes_seq=False)
        gap.seq, gap.epoch = 0, self.epoch - 100
        gap.gap.scope = stream_pb2.GAP_SCOPE_DELIVERY
        gap.gap.cause = stream_pb2.GAP_CAUSE_SERVER_RESTART
        self.seqs[venue, channel] = 0

    def come_back(self, venue: str) -> None:
        """Be LIVE in the new epoch."""
        for channel in (BOOK, TRADES):
            self.resume(venue, channel)
            self.state(venue, channel, types_pb2.STATE_SYNCING)
        self.now += STEP_NS
        self.frame(venue, "snapshot", self.number, channel="book", **self.digests())
        self.snapshot(venue)
        self.state(venue, BOOK, types_pb2.STATE_LIVE)
        self.state(venue, TRADES, types_pb2.STATE_LIVE)

    def cut(self, venue: str) -> hot_pb2.Update:
        """Give the book as it is now to one who waits; it stands for the records that were left out."""
        update = self.snapshot(venue)
        self.seqs[venue, BOOK] -= 1
        update.seq = self.seqs[venue, BOOK]
        update.flags = types_pb2.UPDATE_FLAG_CUT
        return update

    def counted(self, venue: str, skipped: int, cause: stream_pb2.DeliveryCause.ValueType) -> hot_pb2.Update:
        """Tell how many records were left out."""
        update = self.update(venue, BOOK, takes_seq=False)
        update.seq = 0
        update.delivery_change.skipped, update.delivery_change.cause = skipped, cause
        return update

    # What the harness would write

    def resources(
        self,
        phase: str,
        *,
        threads: int = 8,
        fds: int = 30,
        rest: int = 1,
        pid: int = 4_711,
        mib: int = 100,
    ) -> None:
        held = {"pid": pid, "threads": threads, "fds": fds, "rest": rest, "bytes": mib << 20}
        entry = {"t_mono_ns": START_MONO + self.now, "action": "resources", "phase": phase}
        self.control.append({**entry, **held})

    def health(self) -> None:
        """Ask for Health two seconds after the last step."""
        self.now += 20 * STEP_NS
        times = {"t_mono_ns": START_MONO + self.now, "since_mono_ns": START_MONO + self.now - MS}
        self.control.append({"action": "health", "states": dict(self.states), **times})

    # The logs as the checker reads them

    def read_truth(self) -> Truth:
        return read_truth(json.dumps(record) + "\n" for record in self.truth)

    def read_story(self) -> Story:
        """Return the story of one response per record."""
        records = []
        now = 0  # a replay tells old records at a later time
        for at, (t_mono_ns, update) in enumerate(self.updates):
            if at in self.begun:
                records.append(ProbeRecord(t_mono_ns, "o", b""))
            number = at + 1 - max((begun for begun in self.begun if begun <= at), default=0)
            now = max(now, update.ts_publish)
            response = hot_pb2.HotSubscribeResponse(
                stream_seq=number, ts_send=now, ts_watermark=now, updates=[update]
            )
            records.append(ProbeRecord(t_mono_ns, "r", response.SerializeToString()))
        story = Story()
        story.add(records)
        return story


def clean(venue: str, steps: int = 30, seed: int = 1) -> Forgery:
    """Return a run with one healed hole in which all invariants hold."""
    run = Forgery(seed)
    run.begin(venue)
    for step in range(steps):
        run.change(venue)
        if step % 3 == 0:
            run.trade(venue)
        if step % 10 == 9:
            run.checkpoint(venue)
    if venue == "binance":
        first, since = run.number + 1, run.now
        run.change(venue, is_sent=False)
        run.change(venue, is_told=False)
        run.heal(venue, first, since)
    for _ in range(steps):
        run.change(venue)
    run.trade(venue)
    run.health()
    run.resources("after", threads=8, fds=31)
    run.now += STEP_NS
    run.resources("after")
    return run


def text_hash(run: Forgery) -> str:
    """Return the top 50 of the forged book, hashed by another road than the checker's."""
    lines = [
        f"{side},{plain(whole(price, PRICE_EXPONENT))},{plain(whole(levels[price], QUANTITY_EXPONENT))}"
        for side, levels, step in (("b", run.bids, -1), ("a", run.asks, 1))
        for price in sorted(levels)[::step][:50]
    ]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
