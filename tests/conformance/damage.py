"""What can happen to book frames on their way: each damage a function, its place drawn from a seed."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from random import Random
from typing import Final

from tests.conformance.capture_file import Capture, Record
from tests.conformance.sessions import Moment, Session, truth_of

REPEATED_AFTER: Final = 3  # book messages between a frame and its repetition
MARGIN: Final = 0.1  # share of the updates at either end that stays whole


@dataclass(frozen=True, slots=True)
class Scene:
    """What is to be damaged."""

    session: Session
    capture: Capture
    random: Random

    @property
    def updates(self) -> list[Moment]:
        """Return the book updates that the capture holds, without the first and the last."""
        end = len(self.capture.records)
        updates = [moment for moment in truth_of(self.session.name) if moment.is_update and moment.at < end]
        margin = int(len(updates) * MARGIN)
        return updates[margin : len(updates) - margin]

    def with_records(self, records: Iterable[Record], moment: Moment) -> "Damaged":
        """Return the capture with other records, damaged at ``moment``."""
        return Damaged(self.capture.with_records(records), moment.symbol, moment.at)


@dataclass(frozen=True, slots=True)
class Damaged:
    """A damaged capture."""

    capture: Capture
    symbol: str  # whose message was hit
    at: int  # record of the undamaged capture


def drop(scene: Scene) -> Damaged:
    """Leave one book frame out."""
    moment, records = scene.random.choice(scene.updates), scene.capture.records
    return scene.with_records(records[: moment.at] + records[moment.at + 1 :], moment)


def swap(scene: Scene) -> Damaged:
    """Let two successive frames of one book change places; the times stay."""
    by_symbol: dict[str, list[Moment]] = {}
    for moment in scene.updates:
        by_symbol.setdefault(moment.symbol, []).append(moment)
    couples = [couple for moments in by_symbol.values() for couple in pairwise(moments)]
    moment, later = scene.random.choice(couples)
    records = list(scene.capture.records)
    first, second = records[moment.at], records[later.at]
    records[moment.at] = replace(first, payload=second.payload, origin=second.origin)
    records[later.at] = replace(second, payload=first.payload, origin=first.origin)
    return scene.with_records(records, moment)


def double(scene: Scene) -> Damaged:
    """Deliver one book frame twice."""
    moment, records = scene.random.choice(scene.updates), list(scene.capture.records)
    records.insert(moment.at, records[moment.at])
    return scene.with_records(records, moment)


def repeat_later(scene: Scene) -> Damaged:
    """Deliver one book frame again when later ones of its book have come."""
    by_symbol: dict[str, list[Moment]] = {}
    for moment in scene.updates:
        by_symbol.setdefault(moment.symbol, []).append(moment)
    couples = [
        couple
        for moments in by_symbol.values()
        for couple in zip(moments, moments[REPEATED_AFTER:], strict=False)
    ]
    moment, later = scene.random.choice(couples)
    records = list(scene.capture.records)
    records.insert(later.at + 1, replace(records[moment.at], ts_recv=records[later.at].ts_recv))
    return scene.with_records(records, moment)


def change_digit(scene: Scene) -> Damaged:
    """Change one digit of one quantity; the frame stays well formed."""
    records = list(scene.capture.records)
    moments = scene.updates
    scene.random.shuffle(moments)
    for moment in moments:
        payload = records[moment.at].payload
        spans = [match.span(1) for match in scene.session.quantity.finditer(payload) if float(match.group(1))]
        if spans:
            changed = with_other_digit(payload, scene.random.choice(spans), scene.random)
            records[moment.at] = replace(records[moment.at], payload=changed)
            return scene.with_records(records, moment)
    raise AssertionError("no book frame holds a quantity")


def with_other_digit(payload: bytes, span: tuple[int, int], random: Random) -> bytes:
    """Return the frame with one digit that is not 0 changed into another, inside ``span``."""
    start, end = span
    place = random.choice([at for at in range(start, end) if payload[at] in b"123456789"])
    other = (payload[place] - ord("0")) % 9 + 1
    return payload[:place] + str(other).encode() + payload[place + 1 :]


DAMAGES: Final[dict[str, Callable[[Scene], Damaged]]] = {
    "drop": drop,
    "swap": swap,
    "double": double,
    "repeat": repeat_later,
    "digit": change_digit,
}
