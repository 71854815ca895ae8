"""Reconcile with one peer and print what it did: one JSON line. Runs in the peers' own environment.

``play_reconcile.py PEER FILE ROUNDS``. The file holds the sources' names and the prices of 1,000 symbols as
mantissas of two digits. ``numpy`` makes medians without outliers and confidences, and says nothing of any
source; ``pure Python`` says which were used and why not. Both get floats that lie ready in their own form.
The best round counts.
"""

import hashlib
import json
import math
import sys
import time
from collections.abc import Callable
from typing import Any

DEVIATION_MAX = 0.01
SOURCES_MIN = 2
CONFIDENCE_MIN = 0.7


def numpy_peer(_: list[str], table: list[list[int]]) -> tuple[Callable[[], Any], Callable[[Any], Any], str]:
    """Return what numpy does with the table, and how to read its answer."""
    import numpy as np

    prices = np.array(table, dtype=np.float64) / 100.0
    rows = np.arange(len(table))

    def work() -> Any:
        first = np.median(prices, axis=1, keepdims=True)
        near = np.abs(prices - first) <= DEVIATION_MAX * first
        count = near.sum(axis=1)
        kept = np.sort(np.where(near, prices, np.inf), axis=1)
        price = (kept[rows, (count - 1) // 2] + kept[rows, count // 2]) / 2
        mean = np.where(near, prices, 0.0).sum(axis=1) / count
        apart = np.where(near, prices - mean[:, None], 0.0)
        spread = np.sqrt((apart * apart).sum(axis=1) / (count - 1)) / price
        confidence = np.clip(
            np.maximum(0.0, 1 - spread / DEVIATION_MAX) + np.minimum(0.2, 0.05 * (count - SOURCES_MIN)),
            0.0,
            1.0,
        )
        return price, confidence

    def read(answer: Any) -> Any:
        return [
            price if confidence >= CONFIDENCE_MIN else None
            for price, confidence in zip(*(column.tolist() for column in answer), strict=True)
        ]

    return work, read, f"numpy {np.__version__}"


def python_peer(
    sources: list[str], table: list[list[int]]
) -> tuple[Callable[[], Any], Callable[[Any], Any], str]:
    """Return what plain Python does with the table, evidence included."""
    quotes = [
        [(source, price / 100.0, 0.0) for source, price in zip(sources, row, strict=True)] for row in table
    ]

    def work() -> Any:
        return [judge(told) for told in quotes]

    def read(answer: Any) -> Any:
        return [price for price, _, _ in answer]

    return work, read, f"Python {sys.version.split()[0]}"


def judge(told: list[tuple[str, float, float]]) -> tuple[float | None, float, list[Any]]:
    """Return price, confidence and evidence of one symbol."""
    evidence, usable = [], []
    for source, price, age in told:
        if not math.isfinite(price) or price <= 0:
            evidence.append((source, price, False, "NOT_POSITIVE"))
        elif age > 30.0:
            evidence.append((source, price, False, "TOO_OLD"))
        else:
            usable.append((source, price))
    first = median(sorted([price for _, price in usable]))
    allowed = DEVIATION_MAX * first
    kept = []
    for source, price in usable:
        is_near = abs(price - first) <= allowed
        evidence.append((source, price, is_near, "" if is_near else "OUTLIER"))
        if is_near:
            kept.append(price)
    if len(kept) < SOURCES_MIN:
        return None, 0.0, evidence
    kept.sort()
    price, confidence = median(kept), confidence_in(kept)
    return (price if confidence >= CONFIDENCE_MIN else None), confidence, evidence


def median(values: list[float]) -> float:
    """Return the median of sorted values."""
    half = len(values) // 2
    return values[half] if len(values) % 2 else (values[half - 1] + values[half]) / 2


def confidence_in(kept: list[float]) -> float:
    """Return the confidence in sorted prices."""
    mean = sum(kept) / len(kept)
    spread = math.sqrt(sum([(value - mean) ** 2 for value in kept]) / (len(kept) - 1)) / median(kept)
    return min(1.0, max(0.0, 1 - spread / DEVIATION_MAX) + min(0.2, 0.05 * (len(kept) - SOURCES_MIN)))


def main() -> None:
    """Play one peer."""
    name, path, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
    with open(path) as file:
        given = json.load(file)
    peers = {"numpy": numpy_peer, "pure Python": python_peer}
    work, read, version = peers[name](given["sources"], given["prices"])
    best, answer = math.inf, None
    for _ in range(rounds):
        start = time.perf_counter()
        answer = work()
        best = min(best, time.perf_counter() - start)
    text = ";".join("" if price is None else f"{price:.3f}" for price in read(answer))
    digest = hashlib.sha256(text.encode()).hexdigest()
    print(json.dumps({"peer": name, "version": version, "best_s": best, "digest": digest}))


if __name__ == "__main__":
    main()
