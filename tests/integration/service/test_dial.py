"""Dials against real servers on loopback: what never becomes a connection, why, and after how long."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from datafacade.clock import SystemClock
from datafacade.errors import DialFailed
from datafacade.venues.dial import dial, tls_context
from tests.integration.service.peer import LIMITS, open_socket, raw_venue


@pytest.mark.proves("ROW-A05")
async def test_a_venue_that_never_upgrades_is_left_after_the_dial_timeout() -> None:
    async def peer(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    loop = asyncio.get_running_loop()
    async with raw_venue(peer, upgrades=False) as port:
        started = loop.time()
        with pytest.raises(DialFailed) as caught:  # though the peer would wait for ever
            await open_socket(port, replace(LIMITS, dial_timeout_s=0.5))
        assert caught.value.reason == "TIMEOUT"
        assert loop.time() - started >= 0.5


@pytest.mark.proves("ROW-A05")
async def test_the_line_of_a_dial_that_is_given_up_has_ended_when_its_failure_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # the kernel accepts
        with pytest.raises(DialFailed):
            await open_socket(silent.getsockname()[1], replace(LIMITS, dial_timeout_s=2))  # time to ask
        peer, _ = silent.accept()
    with peer:
        peer.setblocking(False)
        assert peer.recv(65_536).startswith(b"GET /x ")
        assert peer.recv(1) == b""  # the end of the stream; BlockingIOError: it is still open


@pytest.mark.proves("ROW-A05")
async def test_a_dial_can_be_given_up_at_once() -> None:
    asked = asyncio.Event()

    async def peer(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await reader.read()

    async with raw_venue(peer, upgrades=False) as port:
        task = asyncio.ensure_future(open_socket(port))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):  # sooner than the dial's own time is up
            await asyncio.wait_for(task, LIMITS.dial_timeout_s / 2)


@pytest.mark.proves("ROW-A08")
@pytest.mark.parametrize(
    ("status", "header", "wait"),
    [(429, "Retry-After: 7", 7.0), (403, "X-Nothing: 1", None), (503, "Retry-After: soon", None)],
)
async def test_a_refused_upgrade_tells_status_and_wait(status: int, header: str, wait: float | None) -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status} No\r\n{header}\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()

    async with raw_venue(peer, upgrades=False) as port:
        with pytest.raises(DialFailed) as caught:
            await open_socket(port)
    assert (caught.value.reason, caught.value.http_status) == ("HTTP", status)
    assert caught.value.retry_after_s == wait


@pytest.mark.parametrize("answer", [b"\x16\x03\x01 garbage\r\n\r\n", b"HTTP/1.1 101 Ok\r\n\r\n", b""])
async def test_an_answer_that_is_no_upgrade_is_refused(answer: bytes) -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)

    async with raw_venue(peer, upgrades=False) as port:
        with pytest.raises(DialFailed) as caught:
            await open_socket(port)
    assert caught.value.reason in ("REFUSED", "HTTP")


async def test_a_port_that_nobody_listens_on_is_refused() -> None:
    with pytest.raises(DialFailed) as caught:
        await open_socket(1)
    assert caught.value.reason == "TCP"


@pytest.mark.proves("CTL-S23")
@pytest.mark.proves("ROW-A07")
async def test_a_name_that_leads_inside_is_refused_before_any_packet() -> None:
    with pytest.raises(DialFailed) as caught:
        await dial(
            "wss://localhost/x",
            limits=LIMITS,
            clock=SystemClock(),
            user_agent="test/1",
            allow_private=False,
            tls=tls_context(),
        )
    assert caught.value.reason == "ADDRESS"


def self_signed(folder: Path) -> tuple[Path, Path]:
    """Return a certificate for localhost that nobody vouches for, and its key."""
    certificate, key = folder / "cert.pem", folder / "key.pem"
    line = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=localhost"
    subprocess.run(  # noqa: S603  our own command line
        [*line.split(), "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True
    )
    return certificate, key


@pytest.mark.proves("ROW-A06")
@pytest.mark.proves("CTL-S4")
async def test_a_certificate_of_an_unknown_authority_is_refused(tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*self_signed(tmp_path))
    received: list[bytes] = []

    async def peer(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        received.append(await reader.read())

    server = await asyncio.start_server(peer, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(DialFailed) as caught:
        await dial(
            f"wss://localhost:{port}/x",
            limits=LIMITS,
            clock=SystemClock(),
            user_agent="test/1",
            allow_private=True,
            tls=tls_context(),
        )
    server.close()
    assert caught.value.reason == "TLS"
    assert b"".join(received) == b""
