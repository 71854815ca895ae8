"""I4 and I5: a LIVE book equals the truth, and between wrong and right nothing is LIVE."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from datafacade.check.book import NaiveBook
from datafacade.check.holes import Jumps, starts_over
from datafacade.check.names import Topic
from datafacade.check.story import Story, Told, follow, is_state
from datafacade.check.truth import Applied, Sent, Truth
from datafacade.check.values import right_klines, right_trades
from datafacade.check.verdict import Verdict
from datafacade.v1 import types_pb2

MATCH_NS: Final = 10_000_000_000
LOST_NS: Final = 100_000_000  # what was sent so shortly before a connection broke may never have arrived
TOP_LEVELS: Final = 50
CHAINED: Final = frozenset({"binance", "binance-usdm", "binance-coinm", "okx", "coinbase"})
UNNOTICEABLE: Final = frozenset({"suppress_delete"})  # where no checksum is; unless the book crosses
UNCOUNTED: Final = {  # what is missing, and no number and no checksum says so at once (docs/integrity.md)
    "coinbase": frozenset({"mute"}),
    "kraken": frozenset({"mute", "drop", "reorder"}),
}
FOREVER: Final = 1 << 63
DATA: Final = ("book_delta", "book_snapshot")


def equals_truth(truth: Truth, story: Story) -> Verdict:
    """I4: wherever the simulator hashed its book, the client's LIVE book of that moment has the same hash."""
    verdict = Verdict("I4", "a LIVE book equals the simulator's, top 50 and whole")
    for topic, told in story.topics.items():
        if not topic.is_whole_book:
            continue
        frames, doubtful = truth.of(topic), _doubtful(truth, topic, told)
        if topic.venue in CHAINED:
            _by_number(verdict, topic, frames, told, doubtful)
        else:
            _by_order(verdict, topic, [frame for frame in frames if frame.top50], told, doubtful)
        _checkpoints(verdict, topic, told)
    right_trades(verdict, truth, story)
    right_klines(verdict, truth, story)
    return verdict


def _checkpoints(verdict: Verdict, topic: Topic, told: Sequence[Told]) -> None:
    """Compare what the product claims of a book with what a client holds of it."""
    for moment in follow(told):
        if moment.told.kind != "checkpoint" or not (moment.is_whole and moment.is_live):
            continue
        verdict.compared += 1
        claimed = moment.told.update.checkpoint
        if moment.book.sha256(claimed.levels) != claimed.sha256.hex():
            what = f"checkpoint of seq {moment.told.update.seq} differs from the book that was told"
            verdict.add(str(topic), moment.told.t_mono_ns, what)


def _live_books(told: Sequence[Told]) -> Iterator[tuple[Told, NaiveBook]]:
    """Yield the LIVE book after each frame of the venue: its last change, and the book until the next."""
    closing = _closing(told)
    for at, moment in enumerate(follow(told)):
        if moment.is_whole and at in closing and (moment.is_live or closing[at]):
            yield moment.told, moment.book


def _doubtful(truth: Truth, topic: Topic, told: Sequence[Told]) -> list[tuple[int, int]]:
    """Return the stretches (wall time) in which a book is wrong and no protocol can tell.

    A sequence chain proves that nothing is missing, not that the content is right. They end
    with the first book that was made from a snapshot of the venue.
    """
    stretches = []
    whole = [t_wall_ns for snapshot, t_wall_ns in truth.snapshots if snapshot == topic]
    books = [
        one.update.ts_recv
        for one in told
        if one.kind == "book_snapshot" and not one.is_cut and not one.is_fallback
    ]
    for fault in truth.applied:
        if fault.topic == topic and fault.verb in UNNOTICEABLE | UNCOUNTED.get(topic.venue, frozenset()):
            fresh = min((at for at in whole if at > fault.t_wall_ns), default=FOREVER)
            stretches.append((fault.t_wall_ns, min((at for at in books if at >= fresh), default=FOREVER)))
    return stretches


def _closing(told: Sequence[Told]) -> dict[int, bool]:
    """Return the places of records that end a frame's changes; True: LIVE is told before the next change."""
    closing: dict[int, bool] = {}
    data = [at for at, one in enumerate(told) if one.kind in DATA]
    for at, following in zip(data, [*data, len(told)][1:], strict=True):
        if following < len(told) and _same_frame(told[at], told[following]):
            continue
        closing[at] = any(is_state(one, types_pb2.STATE_LIVE) for one in told[at + 1 : following])
    return closing


def _same_frame(one: Told, other: Told) -> bool:
    """Tell whether two changes come from one message; only a number says so: two may be read at once."""
    a, b = one.update, other.update
    if not a.HasField("venue_sequence") or one.is_cut != other.is_cut:
        return False
    return (a.ts_recv, a.venue_sequence) == (b.ts_recv, b.venue_sequence)


def _by_number(
    verdict: Verdict,
    topic: Topic,
    frames: Iterable[Sent],
    told: Sequence[Told],
    doubtful: Sequence[tuple[int, int]],
) -> None:
    """Compare where both name the same message of the venue."""
    by_number: dict[int, list[Sent]] = defaultdict(list)
    for frame in frames:
        if frame.sequence is not None:
            by_number[frame.sequence].append(frame)
    for data, book in _live_books(told):
        if any(since <= data.update.ts_recv < until for since, until in doubtful):
            continue
        sent = by_number.get(data.update.venue_sequence, ())
        near = [frame for frame in sent if 0 <= data.update.ts_recv - frame.t_wall_ns < MATCH_NS]
        if near and near[-1].top50:  # an older connection may have used the number too
            _compare(verdict, topic, near[-1], data, book)


def _compare(verdict: Verdict, topic: Topic, frame: Sent, data: Told, book: NaiveBook) -> None:
    verdict.compared += 1
    if book.sha256(TOP_LEVELS) != frame.top50:
        what = f"top {TOP_LEVELS} differ from the truth at message {frame.sequence}"
        verdict.add(str(topic), data.t_mono_ns, what)
    elif frame.full is not None:
        verdict.compared += 1
        if book.sha256() not in (frame.full, *frame.views):
            what = f"the whole book differs from the truth at message {frame.sequence}"
            verdict.add(str(topic), data.t_mono_ns, what)


@dataclass(frozen=True, slots=True)
class _State:
    """A LIVE book of a topic without numbers."""

    ts_recv: int
    ts_sent: int  # when its frame left the venue at the latest
    t_mono_ns: int
    top50: str
    segment: int  # counts the times the book was whole anew


def _by_order(
    verdict: Verdict,
    topic: Topic,
    frames: Sequence[Sent],
    told: Sequence[Told],
    doubtful: Sequence[tuple[int, int]],
) -> None:
    """Without numbers: in a LIVE stretch the truth's hashes stand among the client's, in order."""
    frames = [
        frame for frame in frames if not any(since <= frame.t_wall_ns < until for since, until in doubtful)
    ]
    stretches: dict[int, list[_State]] = defaultdict(list)
    segment = 0
    for data, book in _live_books(told):
        segment += data.kind == "book_snapshot"
        sent = data.update.ts_event or data.update.ts_recv - LOST_NS
        state = _State(data.update.ts_recv, sent, data.t_mono_ns, book.sha256(TOP_LEVELS), segment)
        stretches[segment].append(state)
    for states in stretches.values():
        _in_order(verdict, topic, frames, states)


def _in_order(verdict: Verdict, topic: Topic, frames: Sequence[Sent], states: Sequence[_State]) -> None:
    begin, end = states[0].ts_recv, min(states[-1].ts_sent, states[-1].ts_recv - LOST_NS)
    place = 0
    for frame in frames:
        if frame.fault is not None or not begin < frame.t_wall_ns < end:
            continue
        verdict.compared += 1
        found = next((at for at in range(place, len(states)) if states[at].top50 == frame.top50), None)
        if found is None:
            later = next((state for state in states if state.ts_recv >= frame.t_wall_ns), states[-1])
            what = f"no LIVE book has the top {TOP_LEVELS} of the frame at {frame.t_mono_ns}"
            verdict.add(str(topic), later.t_mono_ns, what)
        else:
            place = found


@dataclass(frozen=True, slots=True)
class Wrong:
    """A stretch in which a book that claims to be LIVE would lie."""

    since_wall_ns: int  # of the frame that shows it
    good: int | None  # number of the last message before the damage
    good_wall_ns: int  # when that one was sent
    verb: str


def never_wrong(truth: Truth, story: Story) -> Verdict:
    """I5: from the frame that shows the damage until a fresh snapshot, nothing is published as LIVE."""
    verdict = Verdict("I5", "no LIVE record stands between truth-wrong and truth-right")
    for topic, told in story.topics.items():
        if not topic.is_whole_book:
            continue
        for wrong in _wrongs(truth, topic):
            _between(verdict, topic, wrong, told)
        for moment in follow(told):
            if moment.is_live and moment.is_whole and moment.told.kind in ("book_delta", "stream_state"):
                verdict.compared += 1
                if moment.book.is_crossed():
                    verdict.add(str(topic), moment.told.t_mono_ns, "a LIVE book is crossed")
    return verdict


def _between(verdict: Verdict, topic: Topic, wrong: Wrong, told: Sequence[Told]) -> None:
    if not any(one.kind in DATA and one.update.ts_recv < wrong.since_wall_ns for one in told):
        return  # nobody followed it yet: there was no book to break
    verdict.compared += 1
    jumps = Jumps()
    for one in told:
        is_past = (one.update.ts_recv or one.update.ts_publish) > wrong.since_wall_ns
        is_torn = jumps.read(one) or starts_over(one)
        if is_torn and is_past:
            return  # its copy has a hole: a client waits for the snapshot that stands for it
        if one.kind == "book_snapshot" and not one.is_fallback and is_past:
            return
        if one.kind == "book_delta" and _is_behind(topic, wrong, one):
            what = f"a change was published although {wrong.verb} had broken the book"
            verdict.add(str(topic), one.t_mono_ns, what)
        elif is_state(one, types_pb2.STATE_LIVE) and one.update.ts_publish > wrong.since_wall_ns:
            what = f"LIVE was told without a new snapshot although {wrong.verb} had broken the book"
            verdict.add(str(topic), one.t_mono_ns, what)


def _is_behind(topic: Topic, wrong: Wrong, delta: Told) -> bool:
    """Tell whether a change comes from a frame that lies behind the damage."""
    if delta.update.ts_recv < wrong.since_wall_ns:
        return False
    if topic.venue in CHAINED and wrong.good is not None:
        return delta.update.venue_sequence > wrong.good
    return delta.update.ts_event > wrong.good_wall_ns  # Kraken stamps a frame right before it leaves


def _wrongs(truth: Truth, topic: Topic) -> list[Wrong]:
    """Return the stretches of one book, by what its protocol can notice (the table of docs/integrity.md)."""
    wrongs = []
    frames = truth.of(topic)
    for fault in truth.applied:
        if fault.topic is None or not fault.topic.is_whole_book or not _hits(fault, topic):
            continue
        shown = _shown(fault, topic)
        if shown is None:
            continue
        before = [frame for frame in frames if frame.t_mono_ns < fault.t_mono_ns and frame.fault is None]
        good = before[-1] if before else None
        since = fault.t_wall_ns
        if shown == "next":
            behind = [frame for frame in truth.sent if frame.conn == fault.conn]
            if topic.venue != "coinbase":
                behind = [frame for frame in behind if frame.topic == topic]
            following = next((frame for frame in behind if frame.t_mono_ns > fault.t_mono_ns), None)
            if following is None:
                continue  # nothing came after it that could have shown the damage
            since = following.t_wall_ns
        wrong = Wrong(since, good.sequence if good else None, good.t_wall_ns if good else 0, fault.verb)
        wrongs.append(wrong)
    return wrongs


def _hits(fault: Applied, topic: Topic) -> bool:
    """Tell whether a fault harms a book: on Coinbase, what one book loses is lost to the whole connection."""
    return fault.topic == topic or (topic.venue == fault.venue == "coinbase")


def _shown(fault: Applied, topic: Topic) -> str | None:
    """Return when the protocol shows the damage: at the frame, at the next one, or not at once (None)."""
    is_chained = topic.venue in CHAINED
    if fault.verb in ("drop", "reorder"):
        return "next" if is_chained else None
    if fault.verb == "truncate" or (fault.verb == "corrupt" and fault.options.get("what") == "byte"):
        return "at" if fault.topic == topic else "next"
    if fault.verb == "malformed_message" and fault.options.get("mode") == "replace":
        return "at" if fault.topic == topic else "next"
    if fault.verb in ("corrupt", "wrong_checksum"):
        return "at" if topic.venue == "kraken" else None
    return None
