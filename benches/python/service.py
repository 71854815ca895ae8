"""Suite ``service``: a venue's frames in, proven updates out to gRPC clients, against peers on the same.

The real ``datafacade serve`` reads real sockets, proves each book and journals each update; the peers hand
their book to a callback in their own process. All get the same seeded frames (330 bytes, 8 levels) of four
symbols.
"""

import array
from collections.abc import Iterable
from typing import Any, Final

from benches.python.core import make_peers
from benches.python.service_parts import Played, Point, build, drained, ours, peer

PEERS: Final = ("cryptofeed", "ccxt pro")
FLAT: Final = (Point(600_000), Point(300_000, clients=10), Point(60_000, clients=100))
FLAT_PEER: Final = Point(60_000)
PACED: Final = (Point(4_000, 1_000), Point(40_000, 10_000), Point(150_000, 50_000))
ALONE_FRAMES: Final = 400_000
ALONE_FACTOR: Final = 2  # the player alone must do so much more than it is ever asked for
WARM_UP_SHARE: Final = 10  # the first tenth is not measured
LATE_RATIO: Final = 0.02  # of the time played: whose last tenth is never less late did not keep up
SEEN_RATIO_MIN: Final = 0.9  # below it a callback skips so much that its latency says little
SHARES: Final = (("p50", 0.5), ("p99", 0.99), ("p999", 0.999))


def run() -> list[dict[str, Any]]:
    """Run the suite and return its rows."""
    make_peers()
    binaries = build()
    flat_peers = [peer(binaries, name, FLAT_PEER) for name in PEERS]
    flat = [ours(binaries, point) for point in FLAT]
    rows = [throughput(point, mine, flat_peers) for point, mine in zip(FLAT, flat, strict=True)]
    for point in PACED:
        mine = ours(binaries, point)
        rows.append(latency(point, mine, [peer(binaries, name, point) for name in PEERS]))
    asked = max([frames_per_s(one, point) for one, point in zip(flat, FLAT, strict=True)])
    return [*rows, alone(drained(binaries, ALONE_FRAMES), max(asked, PACED[-1].rate))]


def throughput(point: Point, mine: Played, peers: list[Played]) -> dict[str, Any]:
    """Return a row of frames a second, flat out; the peers have one callback, whatever ours serves."""
    rate = frames_per_s(mine, point)
    rates = {played.name: frames_per_s(played, FLAT_PEER) for played in peers}
    best = max(rates, key=lambda name: rates[name])
    return {
        "work": f"flat_out_{point.clients}",
        "ours": round(rate),
        "unit": "frames/s",
        "best_peer": round(rates[best]),
        "peer": best,
        "ratio": round(rate / rates[best], 2),
        "digest_ok": mine.is_right and all(played.is_right for played in peers),
        "updates_per_s": round(rate * point.clients),
        "cpu_us_per_frame": round(mine.cpu_s / point.frames * 1e6, 2),
        "client_cpu_us_per_frame": round(mine.client_cpu_s / point.frames * 1e6, 2),
        "peers": {name: round(figure) for name, figure in rates.items()},
        "peer_cpu_us_per_frame": {
            played.name: round(played.cpu_s / FLAT_PEER.frames * 1e6, 2) for played in peers
        },
    }


def frames_per_s(played: Played, point: Point) -> float:
    """Return the frames a second that reached everybody, the warm-up left out."""
    return point.frames * (1 - 1 / WARM_UP_SHARE) / played.span_s


def latency(point: Point, mine: Played, peers: list[Played]) -> dict[str, Any]:
    """Return a row of quantiles from when a frame was due: who makes the player wait pays for it."""
    results = [figures(played, point) for played in peers]
    best = min(results, key=rank)
    own = figures(mine, point)
    return {
        "work": f"latency_{point.rate // 1_000}k",
        "ours": own["due_us"]["p50"],
        "unit": "us p50",
        "best_peer": best["due_us"]["p50"],
        "peer": best["name"] + (" (saturated)" if best["is_saturated"] else ""),
        "ratio": round(best["due_us"]["p50"] / own["due_us"]["p50"], 2),
        "digest_ok": mine.is_right and all(played.is_right for played in peers),
        "ratio_p99": round(best["due_us"]["p99"] / own["due_us"]["p99"], 2),
        "own": own,
        "peers": results,
    }


def rank(result: dict[str, Any]) -> tuple[bool, bool, float]:
    """Return what the best peer has least of: one that keeps up and shows its user each state goes first."""
    return result["is_saturated"], result["seen_ratio"] < SEEN_RATIO_MIN, result["due_us"]["p50"]


def figures(played: Played, point: Point) -> dict[str, Any]:
    """Return what one receiver did at a rate."""
    warm = range(point.frames // WARM_UP_SHARE, point.frames)
    seen = [at for at in warm if played.came[at]]
    span = played.due[-1] - played.due[0]
    late_at_end = [played.came[at] - played.due[at] for at in seen[-len(seen) // WARM_UP_SHARE :]]
    return {
        "name": played.name,
        "due_us": quantiles(played.came[at] - played.due[at] for at in seen),
        "sent_us": quantiles(played.came[at] - played.sent[at] for at in seen),
        "player_late_us": quantiles(played.sent[at] - played.due[at] for at in warm),
        "seen_ratio": round(len(seen) / len(warm), 4),  # below 1: the callback was spared some states
        "cpu_ratio": round(played.cpu_s / (max(*played.came, played.due[-1]) - played.due[0]) * 1e9, 2),
        "is_saturated": not seen or min(late_at_end) > LATE_RATIO * span,
    }


def quantiles(values_ns: Iterable[int]) -> dict[str, float]:
    """Return the quantiles in us."""
    ordered = array.array("q", sorted(values_ns)) or array.array("q", [0])
    last = len(ordered) - 1
    return {name: round(ordered[min(last, int(share * len(ordered)))] / 1_000, 1) for name, share in SHARES}


def alone(rate: float, asked: float) -> dict[str, Any]:
    """Return the row that proves the player: alone it does twice what it was ever asked for."""
    return {
        "work": "player_alone",
        "ours": round(rate),
        "unit": "frames/s",
        "best_peer": round(asked),
        "peer": "the fastest point above",
        "ratio": round(rate / asked, 2),
        "digest_ok": rate >= ALONE_FACTOR * asked,
    }
