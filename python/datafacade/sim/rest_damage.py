"""Broken REST answers: bodies that are cut, emptied, malformed, or come in a trickle."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from aiohttp import web

from datafacade.sim import damage
from datafacade.sim.faults import Fault
from datafacade.sim.venue import Answer

TRICKLE_PARTS: Final = 20


async def broken_answer(
    request: web.Request, answer: Answer, headers: Mapping[str, str], fault: Fault
) -> web.StreamResponse:
    """Send ``answer`` as the kind of ``fault`` says.

    ``empty`` is a body without a byte, ``cut`` promises the whole body and ends in its middle, ``trickle``
    takes ``ms``; every other kind is a damaged JSON text.
    """
    kind, whole = fault.text("kind"), answer.body.encode()
    if kind not in ("cut", "trickle"):
        body = b"" if kind == "empty" else damage.malform(_object(answer.body), kind)
        return web.Response(
            body=body, status=answer.status, headers=headers, content_type=answer.content_type
        )
    response = web.StreamResponse(status=answer.status, headers=headers)
    response.content_type, response.content_length = answer.content_type, len(whole)
    await response.prepare(request)
    if kind == "cut":
        await response.write(whole[: len(whole) // 2])
        if request.transport is not None:
            request.transport.close()
        return response
    size = max(1, len(whole) // TRICKLE_PARTS)
    for start in range(0, len(whole), size):
        await response.write(whole[start : start + size])
        await asyncio.sleep(fault.integer("ms") / 1000 / TRICKLE_PARTS)
    await response.write_eof()
    return response


def _object(text: str) -> str:
    """Return ``text`` if it is a JSON object, else one around it, which the kinds of damage need."""
    return text if text.startswith("{") and ":" in text else f'{{"a":{text}}}'
