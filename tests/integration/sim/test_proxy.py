"""Each verb of the fault proxy does to real sockets what it says, counts it, and heals."""

import asyncio
import contextlib
import json
import socket
import struct
import sys
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest
from websockets.exceptions import ConnectionClosed

from datafacade.sim.faults import FaultRefused
from datafacade.sim.http_port import HttpPort
from datafacade.sim.proxy import Proxy, Route
from datafacade.sim.proxy_cli import main
from datafacade.sim.proxy_control import ProxyControl
from datafacade.sim.proxy_verbs import PROXY_VERBS
from tests.integration.sim.harness import Json, ended, eventually, get, send, simulator, until
from tests.integration.sim.harness import socket as socket_to

SILENCE_S = 0.1
PATIENCE_S = 60.0


class Peer:
    """One end of a TCP connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def tell(self, octets: bytes) -> None:
        self.writer.write(octets)
        await self.writer.drain()

    async def hear(self, size: int) -> bytes:
        async with asyncio.timeout(PATIENCE_S):
            return await self.reader.readexactly(size)

    async def hear_end(self) -> bytes:
        async with asyncio.timeout(PATIENCE_S):
            return await self.reader.read()

    async def hears_nothing(self) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SILENCE_S):
                return not await self.reader.read(1)
        return True

    def reset(self) -> None:
        handle = self.writer.get_extra_info("socket")
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


class Bed:
    """A proxy with one upstream that keeps whom it accepted."""

    def __init__(self) -> None:
        self.proxy = Proxy()
        self.accepted: asyncio.Queue[Peer] = asyncio.Queue()
        self.peers: list[Peer] = []

    def peer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Peer:
        self.peers.append(Peer(reader, writer))
        return self.peers[-1]

    async def connected(self) -> tuple[Peer, Peer]:
        client = await self.dial()
        async with asyncio.timeout(PATIENCE_S):
            return client, await self.accepted.get()

    async def dial(self, route: str = "venue/ws") -> Peer:
        return self.peer(*await asyncio.open_connection("127.0.0.1", self.proxy.ports[route]))


@contextlib.asynccontextmanager
async def bed() -> AsyncIterator[Bed]:
    made = Bed()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await made.accepted.put(made.peer(reader, writer))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    upstream = server.sockets[0].getsockname()[:2]
    made.proxy.routes = {name: Route(name, upstream) for name in ("venue/ws", "other/ws")}
    async with made.proxy:
        try:
            yield made
        finally:
            server.close()
            for peer in made.peers:
                peer.writer.transport.abort()
            await asyncio.sleep(0)  # the transports close in the next turn


async def test_without_a_fault_every_byte_passes_both_ways_and_ends_are_passed_on() -> None:
    async with bed() as here:
        client, upstream = await here.connected()
        big = bytes(range(256)) * 8_000
        await asyncio.gather(client.tell(big), upstream.tell(big[::-1]))
        assert await upstream.hear(len(big)) == big
        assert await client.hear(len(big)) == big[::-1]
        client.writer.write_eof()
        assert await upstream.hear_end() == b""
        await upstream.tell(b"still here")
        assert await client.hear(10) == b"still here"
        upstream.writer.close()
        assert await client.hear_end() == b""
        await eventually(lambda: not here.proxy.links)
        closed = here.proxy.log.recent[-1]
        assert (closed["event"], closed["by"], closed["how"]) == ("closed", "client", "end")


async def test_the_end_of_a_connection_is_timed_when_its_first_side_ends() -> None:
    async with bed() as here:
        client, upstream = await here.connected()
        before = time.monotonic_ns()
        client.writer.write_eof()
        assert await upstream.hear_end() == b""
        heard = time.monotonic_ns()
        upstream.writer.close()
        await eventually(lambda: not here.proxy.links)
        closed: Json = here.proxy.log.recent[-1]
        assert before <= closed["ended_mono_ns"] <= heard <= closed["t_mono_ns"]


async def test_a_reset_of_one_side_is_a_reset_for_the_other() -> None:
    async with bed() as here:
        client, upstream = await here.connected()
        upstream.reset()
        with pytest.raises(ConnectionResetError):
            await client.hear_end()
        client, upstream = await here.connected()
        client.reset()
        with pytest.raises(ConnectionResetError):
            await upstream.hear_end()


async def test_latency_delays_and_keeps_the_order() -> None:
    async with bed() as here:
        client, upstream = await here.connected()
        fault = here.proxy.arm(
            {"verb": "latency", "ms": 100, "jitter_ms": 50, "direction": "to_client", "route": "venue"}
        )
        start = time.monotonic()
        for number in range(20):
            await upstream.tell(bytes([number]))
            await asyncio.sleep(0.002)
        assert await client.hear(20) == bytes(range(20))
        assert time.monotonic() - start >= 0.09
        await client.tell(b"fast")
        assert await upstream.hear(4) == b"fast"
        assert fault.applied > 0
        assert fault.touched_bytes == 20


async def test_bandwidth_limits_bytes_per_second() -> None:
    async with bed() as here:
        client, upstream = await here.connected()
        fault = here.proxy.arm({"verb": "bandwidth", "bytes_s": 100_000})
        start = time.monotonic()
        await upstream.tell(bytes(40_000))
        assert len(await client.hear(40_000)) == 40_000
        assert time.monotonic() - start >= 0.3
        assert fault.touched_bytes == 40_000


async def test_slicer_sends_single_bytes_and_changes_none() -> None:
    async with bed() as here:
        client, upstream = await here.connected()
        fault = here.proxy.arm({"verb": "slicer", "bytes": 1})
        await upstream.tell(bytes(range(200)))
        assert await client.hear(200) == bytes(range(200))
        assert fault.applied == 200


async def test_slow_close_passes_the_end_on_late() -> None:
    async with bed() as here:
        client, upstream = await here.connected()
        fault = here.proxy.arm({"verb": "slow_close", "ms": 200})
        start = time.monotonic()
        await upstream.tell(b"bye")
        upstream.writer.close()
        assert await client.hear_end() == b"bye"
        assert time.monotonic() - start >= 0.19
        assert fault.applied >= 1


async def test_timeout_stops_the_data_then_closes() -> None:
    async with bed() as here:
        client, upstream = await here.connected()
        fault = here.proxy.arm({"verb": "timeout", "ms": 150})
        await upstream.tell(b"never heard")
        assert await client.hear_end() == b""
        assert fault.applied >= 1
        await eventually(lambda: here.proxy.log.recent[-1].get("by") == f"fault {fault.id}")


async def test_limit_data_closes_after_so_many_bytes() -> None:
    async with bed() as here:
        client, upstream = await here.connected()
        fault = here.proxy.arm({"verb": "limit_data", "bytes": 10, "direction": "to_client"})
        await upstream.tell(b"0123456789abcdef")
        assert await client.hear_end() == b"0123456789"
        assert fault.touched_bytes == 6


async def test_reset_peer_resets_both_sides_now_and_new_ones_while_it_lasts() -> None:
    async with bed() as here:
        client, upstream = await here.connected()
        other, kept = await here.dial("other/ws"), await here.accepted.get()
        fault = here.proxy.arm({"verb": "reset_peer", "route": "venue/ws"})
        assert (fault.applied, fault.is_over()) == (1, True)
        for peer in (client, upstream):
            with pytest.raises(ConnectionResetError):
                await peer.hear_end()
        await other.tell(b"untouched")
        assert await kept.hear(9) == b"untouched"
        lasting = here.proxy.arm({"verb": "reset_peer", "route": "venue", "duration_ms": 60_000})
        with pytest.raises(ConnectionError):
            await (await here.dial()).hear(1)
        assert lasting.applied == 1


async def test_down_refuses_and_resets_until_healed() -> None:
    async with bed() as here:
        client, _ = await here.connected()
        fault = here.proxy.arm({"verb": "down", "route": "venue"})
        with pytest.raises(ConnectionResetError):
            await client.hear_end()
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    (await here.dial()).writer.close()
                except ConnectionRefusedError:
                    break
        await here.dial("other/ws")
        await here.accepted.get()
        here.proxy.heal(fault.id)
        here.accepted = asyncio.Queue()
        client, upstream = await here.connected()
        await upstream.tell(b"back")
        assert await client.hear(4) == b"back"


@pytest.mark.parametrize("direction", ["both", "to_client", "to_upstream"])
async def test_a_black_hole_swallows_one_or_both_directions_and_delivers_when_healed(direction: str) -> None:
    async with bed() as here:
        client, upstream = await here.connected()
        fault = here.proxy.arm({"verb": "black_hole", "direction": direction})
        await upstream.tell(b"down")
        await client.tell(b"up")
        await eventually(lambda: fault.applied == (2 if direction == "both" else 1))
        if direction != "to_upstream":
            assert await client.hears_nothing()
        if direction != "to_client":
            assert await upstream.hears_nothing()
        if direction == "to_upstream":
            assert await client.hear(4) == b"down"
        if direction == "to_client":
            assert await upstream.hear(2) == b"up"
        assert here.proxy.heal() == 1
        if direction != "to_upstream":
            assert await client.hear(4) == b"down"
        if direction != "to_client":
            assert await upstream.hear(2) == b"up"


async def test_a_black_hole_with_discard_resets_when_healed() -> None:
    async with bed() as here:
        client, upstream = await here.connected()
        fault = here.proxy.arm({"verb": "black_hole", "discard": True})
        await upstream.tell(b"lost")
        await eventually(lambda: fault.touched_bytes == 4)
        assert await client.hears_nothing()
        assert here.proxy.heal() == 1
        with pytest.raises(ConnectionResetError):
            await client.hear_end()
        assert fault.touched_bytes == 4
        assert fault.is_over()


async def test_in_a_black_hole_nobody_learns_that_the_other_has_gone() -> None:
    async with bed() as here:
        client, upstream = await here.connected()
        here.proxy.arm({"verb": "black_hole"})
        client.reset()
        assert await upstream.hears_nothing()
        here.proxy.heal()
        with pytest.raises(ConnectionResetError):
            await upstream.hear_end()


async def test_a_pause_holds_all_and_dials_nobody() -> None:
    async with bed() as here:
        client, upstream = await here.connected()
        here.proxy.arm({"verb": "pause"})
        late = await here.dial()
        await upstream.tell(b"held")
        assert await client.hears_nothing()
        assert here.accepted.empty()
        here.proxy.heal()
        assert await client.hear(4) == b"held"
        await late.tell(b"hello")
        assert await (await here.accepted.get()).hear(5) == b"hello"


async def test_half_close_ends_one_direction_only() -> None:
    async with bed() as here:
        client, upstream = await here.connected()
        fault = here.proxy.arm({"verb": "half_close", "direction": "to_client"})
        assert await client.hear_end() == b""
        await client.tell(b"up")
        assert await upstream.hear(2) == b"up"
        assert fault.applied == 1


async def test_byte_flip_changes_one_digit_behind_a_text() -> None:
    async with bed() as here:
        client, upstream = await here.connected()
        fault = here.proxy.arm({"verb": "byte_flip", "find": '"qty":', "direction": "to_client"})
        for text in (b'{"px":1.5}', b'{"qty":2.5}', b'{"qty":2.5}'):
            await upstream.tell(text)
            heard = await client.hear(len(text))
            assert heard == (b'{"qty":3.5}' if fault.applied == 1 and fault.is_over() else text) or (
                text == heard
            )
        assert fault.applied == 1


async def test_reorder_segments_swaps_two() -> None:
    async with bed() as here:
        client, upstream = await here.connected()
        fault = here.proxy.arm({"verb": "reorder_segments", "direction": "to_client"})
        await upstream.tell(b"first ")
        await eventually(lambda: fault.applied)
        await upstream.tell(b"second ")
        assert await client.hear(13) == b"second first "
        await upstream.tell(b"third")
        assert await client.hear(5) == b"third"


async def test_an_idle_connection_is_forgotten_without_a_word() -> None:
    async with bed() as here:
        client, upstream = await here.connected()
        await upstream.tell(b"a")
        assert await client.hear(1) == b"a"
        fault = here.proxy.arm({"verb": "idle_forget", "idle_ms": 100})
        await asyncio.sleep(0.15)
        await upstream.tell(b"b")
        assert await client.hears_nothing()
        assert fault.touched_bytes == 1
        here.proxy.heal()
        with pytest.raises(ConnectionResetError):
            await client.hear_end()


async def test_scope_and_ratio_choose_connections() -> None:
    async with bed() as here:
        client, upstream = await here.connected()
        here.proxy.arm({"verb": "black_hole", "scope": "new"})
        here.proxy.arm({"verb": "black_hole", "ratio": 0})
        await upstream.tell(b"old")
        assert await client.hear(3) == b"old"
        await here.dial()
        await asyncio.sleep(SILENCE_S)
        assert here.accepted.empty()


async def test_the_control_paths_arm_prove_and_heal() -> None:
    async with bed() as here:
        control = HttpPort()
        url = f"http://127.0.0.1:{await control.start(ProxyControl(here.proxy).routes(), '127.0.0.1', 0)}"
        async with aiohttp.ClientSession() as session:

            async def call(method: str, path: str, body: object = None) -> tuple[int, Json]:
                data = None if body is None else json.dumps(body)
                async with session.request(method, url + path, data=data) as answer:
                    return answer.status, await answer.json()

            client, upstream = await here.connected()
            status, fault = await call("POST", "/faults", {"verb": "black_hole", "direction": "to_client"})
            assert status == 201
            await upstream.tell(b"x")
            await eventually(lambda: here.proxy.faults.all()[0].applied)
            _, proof = await call("GET", f"/faults/{fault['id']}")
            assert proof["connections"] == [1]
            assert proof["armed_mono_ns"] <= proof["first_mono_ns"]
            assert (await call("DELETE", f"/faults/{fault['id']}"))[1] == {"ended": 1}
            assert await client.hear(1) == b"x"
            assert (await call("POST", "/faults", {"verb": "explode"}))[0] == 400
            assert (await call("POST", "/faults", {"verb": "latency", "ms": "soon"}))[0] == 400
            assert set((await call("GET", "/verbs"))[1]) == set(PROXY_VERBS)
            assert (await call("GET", "/connections"))[1][0]["bytes"]["to_client"] == 1
            events = [row["event"] for row in (await call("GET", "/log"))[1]]
            assert events[0] == "opened"
            assert events.count("fault") == 3
            _, moved = await call("PUT", "/routes/venue/ws", {"upstream": "127.0.0.1:1"})
            assert moved["upstream"] == "127.0.0.1:1"
            with pytest.raises(ConnectionError):
                await (await here.dial()).hear(1)
        await control.stop()


def test_what_makes_no_sense_is_refused() -> None:
    proxy = Proxy()
    for request in ({"verb": "latency", "msec": 1}, {"verb": "timeout", "direction": "up"}, {}):
        with pytest.raises(FaultRefused):
            proxy.arm(request)
    assert main(["--listen", "127.0.0.1:0"]) == 2
    assert main(["--upstream", "nonsense"]) == 2


async def test_the_command_prints_its_ports_and_ends_on_time() -> None:
    command = [
        sys.executable,
        "-m",
        "datafacade.sim",
        "proxy",
        "--upstream",
        "127.0.0.1:9",
        "--seconds",
        "0.2",
    ]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    told = json.loads(output)
    assert told["routes"]["default"]["upstream"] == "127.0.0.1:9"
    assert told["control"].startswith("http://127.0.0.1:")
    assert process.returncode == 0


async def test_the_simulator_puts_a_proxy_before_each_of_its_ports() -> None:
    async with (
        simulator("okx/public", "kraken/spot", has_proxy=True) as running,
        socket_to(running, "okx/public", "/ws/v5/public") as ws,
        aiohttp.ClientSession() as session,
    ):
        assert running.proxy is not None
        await send(ws, {"op": "subscribe", "args": [{"channel": "trades", "instId": "BTC-USDT"}]})
        await until(ws, lambda body: "data" in body)
        order = {"verb": "reset_peer", "route": "okx"}
        async with session.post(f"{running.control_url}/proxy/faults", json=order) as answer:
            assert (await answer.json())["applied"] == 1
        with pytest.raises(ConnectionClosed):
            await ended(ws)
        status, _, _ = await get(running, "kraken/spot", "/0/public/Time")
        assert status == 200
        assert {"proxy", "connection", "rest"} <= {str(row["type"]) for row in running.truth.recent}
