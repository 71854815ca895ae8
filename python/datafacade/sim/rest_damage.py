"""Broken REST answers: bodies that are cut, empty, malformed, dripped, endless, larger than they look."""

from __future__ import annotations

import asyncio
import gzip
import io
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from aiohttp import web

from datafacade.sim import damage
from datafacade.sim.faults import Fault
from datafacade.sim.venue import Answer

TRICKLE_PARTS: Final = 20
ENDLESS_PART: Final = b" " * (1 << 16)
ENDLESS_BYTES_MAX: Final = 1 << 32
MIB: Final = b" " * (1 << 20)
HTML_BODY: Final = (
    "<html><head><title>Attention Required!</title></head>"
    "<body><h1>Sorry</h1><p>error code: 1020</p></body></html>"
)
ERROR_OBJECT: Final = "error_object"  # this kind is an answer of its own
ERROR_OBJECTS: Final = {
    "binance": '{"code":-1000,"msg":"An unknown error occurred while processing the request."}',
    "okx": '{"code":"50001","msg":"Service temporarily unavailable. Try again later","data":[]}',
    "coinbase": '{"message":"Internal server error"}',
    "kraken": '{"error":["EService:Unavailable"]}',
    "coingecko": '{"status":{"error_code":500,"error_message":"Internal Server Error"}}',
    "coinpaprika": '{"error":"internal server error"}',
}
Broken = Callable[[web.Request, Answer, Mapping[str, str], Fault], Awaitable[web.StreamResponse]]


async def broken_answer(
    request: web.Request, answer: Answer, headers: Mapping[str, str], fault: Fault
) -> web.StreamResponse:
    """Send ``answer`` as the kind of ``fault`` says; docs/simulator.md tells the kinds."""
    kind = fault.text("kind")
    stream = STREAMED.get(kind)
    if stream is not None:
        return await stream(request, answer, headers, fault)
    content_type = answer.content_type
    match kind:
        case "empty":
            body = b""
        case "html":
            body, content_type = HTML_BODY.encode(), "text/html"
        case _:
            body = damage.malform(_object(answer.body), kind)
    return web.Response(body=body, status=answer.status, headers=headers, content_type=content_type)


async def _begun(
    request: web.Request, answer: Answer, headers: Mapping[str, str], length: int | None
) -> web.StreamResponse:
    """Send the head of an answer that promises ``length`` bytes."""
    response = web.StreamResponse(status=answer.status, headers=headers)
    response.content_type, response.content_length = answer.content_type, length
    await response.prepare(request)
    return response


async def _cut(
    request: web.Request, answer: Answer, headers: Mapping[str, str], fault: Fault
) -> web.StreamResponse:
    """Promise the whole body (`longer`: twice as much) and end the connection before."""
    whole = answer.body.encode()
    is_longer = fault.text("kind") == "longer"
    response = await _begun(request, answer, headers, 2 * len(whole) if is_longer else len(whole))
    await response.write(whole if is_longer else whole[: len(whole) // 2])
    if is_longer:
        await asyncio.sleep(fault.integer("ms") / 1000)
    if request.transport is not None:
        request.transport.close()
    return response


async def _shorter(
    request: web.Request, answer: Answer, headers: Mapping[str, str], fault: Fault
) -> web.StreamResponse:
    """Promise half of the body, and send all of it."""
    del fault
    whole = answer.body.encode()
    half = len(whole) // 2
    response = await _begun(request, answer, headers, half)
    await response.write(whole[:half])
    if request.transport is not None:
        request.transport.write(whole[half:])
    await response.write_eof()
    return response


async def _trickle(
    request: web.Request, answer: Answer, headers: Mapping[str, str], fault: Fault
) -> web.StreamResponse:
    """Send the whole body within ``ms``, or (`drip`) with ``bytes_s`` bytes a second."""
    whole = answer.body.encode()
    size = max(1, len(whole) // TRICKLE_PARTS)
    pause_s = fault.integer("ms") / 1000 / TRICKLE_PARTS
    if fault.text("kind") == "drip":
        size, pause_s = 1, 1 / max(1, fault.integer("bytes_s"))
    response = await _begun(request, answer, headers, len(whole))
    for start in range(0, len(whole), size):
        await response.write(whole[start : start + size])
        await asyncio.sleep(pause_s)
    await response.write_eof()
    return response


async def _endless(
    request: web.Request, answer: Answer, headers: Mapping[str, str], fault: Fault
) -> web.StreamResponse:
    """Send white space in front of the body as fast as the client reads, until it goes."""
    del fault
    response = await _begun(request, answer, headers, None)
    response_bytes = 0
    while response_bytes < ENDLESS_BYTES_MAX:
        await response.write(ENDLESS_PART)
        response_bytes += len(ENDLESS_PART)
        await asyncio.sleep(0)
    return response


async def _bomb(
    request: web.Request, answer: Answer, headers: Mapping[str, str], fault: Fault
) -> web.StreamResponse:
    """Send ``mib`` MiB of white space as a small gzip body."""
    del request
    body = await asyncio.to_thread(_inflatable, max(1, fault.integer("mib")))
    told = {**headers, "Content-Encoding": "gzip"}
    return web.Response(body=body, status=answer.status, headers=told, content_type=answer.content_type)


def _inflatable(mib: int) -> bytes:
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as stream:
        for _ in range(mib):
            stream.write(MIB)
    return packed.getvalue()


STREAMED: Final[Mapping[str, Broken]] = {
    "cut": _cut,
    "longer": _cut,
    "shorter": _shorter,
    "trickle": _trickle,
    "drip": _trickle,
    "endless": _endless,
    "gzip_bomb": _bomb,
}


def _object(text: str) -> str:
    """Return ``text`` if it is a JSON object, else one around it, which the kinds of damage need."""
    return text if text.startswith("{") and ":" in text else f'{{"a":{text}}}'
