"""The application for `sse_starlette.py`: as in the library's examples, a queue per stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

queues: set[asyncio.Queue[str]] = set()


async def rows() -> AsyncIterator[ServerSentEvent]:
    queue: asyncio.Queue[str] = asyncio.Queue()
    queues.add(queue)
    try:
        yield ServerSentEvent(comment="open")
        while True:
            yield ServerSentEvent(data=await queue.get())
    finally:
        queues.discard(queue)


async def stream(_: Request) -> Response:
    return EventSourceResponse(rows(), ping=15)


async def publish(request: Request) -> Response:
    row = (await request.body()).decode()
    for queue in queues:
        queue.put_nowait(row)
    return Response(status_code=202)


app = Starlette(
    routes=[Route("/stream", stream), Route("/publish", publish, methods=["POST"])],
)
