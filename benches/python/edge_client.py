"""Measure a served edge from a process of its own; print one JSON line.

``python -m benches.python.edge_client ADDRESS stream SUBSCRIBERS COUNT`` prints ``subscribed`` before it;
``... ADDRESS unary CALLS`` measures calls in flight and one by one, ``... cached CALLS`` those of the cache.
"""

import json
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import grpc
from grpc import experimental

from benches.python.edge_http2 import Calls
from benches.python.edge_played import (
    CACHED_INTERVAL,
    CACHED_ROWS,
    CORE_CLIENT,
    TOPICS,
    TRADE_MARK,
    pin,
    symbols,
)
from datafacade.v1 import hot_pb2, reference_pb2, stream_pb2, types_pb2, warm_pb2

SERVICE: Final = "/datafacade.v1.DataFacadeService/"
WARM_UP_RATIO: Final = 0.1  # of the updates or calls, not measured
ACCEPTED: Final = stream_pb2.SUBSCRIPTION_PHASE_ACCEPTED
IN_FLIGHT: Final = 32
PATIENCE_S: Final = 60.0
ONE_BY_ONE: Final = 2_000  # calls

Arrivals = list[tuple[int, bytes]]  # wall ns, response
Method = Callable[..., Any]  # of a channel without serialisers: bytes in, bytes out


class Streams:
    """Subscribers of all topics, each on a thread. While measuring they only keep and count what comes."""

    def __init__(self, channel: grpc.Channel, subscribers: int, count: int) -> None:
        request = hot_pb2.HotSubscribeRequest()
        request.subscribe.add(
            venues=["binance"], symbols=symbols(), channels=[types_pb2.CHANNEL_TRADES], subscription_id=1
        )
        self._request = request.SerializeToString()
        self._method: Method = channel.unary_stream(f"{SERVICE}HotSubscribe")
        self._count = count
        self.arrivals: list[Arrivals] = [[] for _ in range(subscribers)]
        self._subscribed = threading.Barrier(subscribers + 1)
        self._threads = [threading.Thread(target=self._read, args=(kept,)) for kept in self.arrivals]

    def start(self) -> None:
        """Subscribe everything."""
        for thread in self._threads:
            thread.start()
        self._subscribed.wait(PATIENCE_S)

    def join(self) -> None:
        """Wait until every subscriber has all trades, or its stream has ended."""
        for thread in self._threads:
            thread.join()

    def _read(self, kept: Arrivals) -> None:
        call: Any = self._method(self._request, timeout=PATIENCE_S)
        accepted = 0
        while accepted < TOPICS:
            updates = hot_pb2.HotSubscribeResponse.FromString(next(call)).updates
            accepted += sum(update.subscription_status.phase == ACCEPTED for update in updates)
        self._subscribed.wait(PATIENCE_S)
        now, count = time.time_ns, self._count
        try:
            for response in call:
                kept.append((now(), response))
                count -= response.count(TRADE_MARK)
                if count <= 0:
                    break
        except grpc.RpcError as error:
            print(error, file=sys.stderr)
        call.cancel()


class Verdict:
    """What one subscriber received: each topic's trades without hole or doubling, and when."""

    def __init__(self, kept: Arrivals) -> None:
        self.trades = 0
        self.is_contiguous = True
        self.published: list[int] = []  # publish to receive, ns, of each trade
        self.due: list[int] = []  # from when the venue sent it
        heads: dict[str, int] = {}
        for arrived, response in kept:
            for update in hot_pb2.HotSubscribeResponse.FromString(response).updates:
                if not update.HasField("trade"):
                    continue
                self.trades += 1
                self.is_contiguous &= heads.get(update.symbol, update.seq - 1) + 1 == update.seq
                heads[update.symbol] = update.seq
                self.published.append(arrived - update.ts_publish)
                self.due.append(arrived - update.ts_recv)


def stream(channel: grpc.Channel, subscribers: int, count: int) -> dict[str, Any]:
    """Receive ``count`` trades per subscriber."""
    streams = Streams(channel, subscribers, count)
    streams.start()
    print("subscribed", flush=True)
    cpu_s = time.process_time()
    streams.join()
    cpu_s = time.process_time() - cpu_s
    verdicts = [Verdict(kept) for kept in streams.arrivals]
    if not all(verdict.trades for verdict in verdicts):
        raise RuntimeError("a subscriber received nothing")
    warm = int(count * WARM_UP_RATIO)
    took_s = (max(kept[-1][0] for kept in streams.arrivals) - streams.arrivals[0][0][0]) / 1e9
    return {
        "updates_per_s": rate(streams.arrivals),
        "published_us": quantiles(verdicts[0].published[warm:]),
        "due_us": quantiles(verdicts[0].due[warm:]),
        "responses": sum(len(kept) for kept in streams.arrivals),
        "client_busy_ratio": round(cpu_s / took_s, 2),
        "digest_ok": all(one.is_contiguous and one.trades == count for one in verdicts),
    }


def rate(arrivals: list[Arrivals]) -> float:
    """Return the trades per second of all subscribers together, the warm-up left out."""
    came = sorted((at, response.count(TRADE_MARK)) for kept in arrivals for at, response in kept)
    total, seen = sum(count for _, count in came), 0
    for index, (at, count) in enumerate(came):  # noqa: B007  index and at are wanted behind the loop
        seen += count
        if seen >= WARM_UP_RATIO * total:
            break
    return (total - seen) / max(1, came[-1][0] - at) * 1e9


def quantiles(values_ns: list[int]) -> dict[str, float]:
    """Return the quantiles in us."""
    ordered = sorted(values_ns)
    return {
        name: round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] / 1_000, 1)
        for name, share in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999))
    }


def unary(channel: grpc.Channel, address: str, calls: int, *, is_cached: bool) -> dict[str, Any]:
    """Ask for one instrument, or cached klines: in flight by a bare HTTP/2 client, one by one by grpcio."""
    name = "WarmKlines" if is_cached else "ListInstruments"
    request: Any = reference_pb2.ListInstrumentsRequest(venues=["binance"], symbols=symbols()[:1])
    answer: Any = reference_pb2.ListInstrumentsResponse
    if is_cached:
        request = warm_pb2.WarmKlinesRequest(
            venue="binance", symbol=symbols()[0], interval=CACHED_INTERVAL, limit=CACHED_ROWS
        )
        answer = warm_pb2.WarmKlinesResponse
    method: Method = channel.unary_unary(f"{SERVICE}{name}")
    encoded = request.SerializeToString()
    first = answer.FromString(method(encoded))
    first.ClearField("served")
    wanted = first.SerializeToString()
    is_whole = len(first.klines) == CACHED_ROWS if is_cached else len(first.instruments) == 1
    in_flight = Calls(address, f"{SERVICE}{name}", encoded, wanted)
    in_flight.run(int(calls * WARM_UP_RATIO), IN_FLIGHT)
    cpu, start = time.process_time(), time.perf_counter()
    right = in_flight.run(calls, IN_FLIGHT)
    took, cpu = time.perf_counter() - start, time.process_time() - cpu
    latencies = []
    for _ in range(ONE_BY_ONE):
        begin = time.perf_counter_ns()
        message = method(encoded)
        latencies.append(time.perf_counter_ns() - begin)
        right -= not message.startswith(wanted)
    return {
        "calls_per_s": calls / took,
        "latency_us": quantiles(latencies[ONE_BY_ONE // 10 :]),
        "client_busy_ratio": round(cpu / took, 2),
        "digest_ok": right == calls and is_whole,
    }


def main() -> None:
    """Measure what the arguments say."""
    pin(CORE_CLIENT)
    address, kind, *numbers = sys.argv[1:]
    options = [(experimental.ChannelOptions.SingleThreadedUnaryStream, 1)]
    with grpc.insecure_channel(address, options=options) as channel:
        if kind == "stream":
            result = stream(channel, int(numbers[0]), int(numbers[1]))
        else:
            result = unary(channel, address, int(numbers[0]), is_cached=kind == "cached")
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
