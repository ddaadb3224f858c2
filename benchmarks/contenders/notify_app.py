"""The shortest application of LISTEN and NOTIFY: a trigger sends each row, a queue per stream.

What is told while its connection is lost, it misses, and so does a client that comes back.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

queues: set[asyncio.Queue[str]] = set()


async def listen() -> None:
    url = os.environ["DATABASE_URL"]
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("LISTEN posts")
        async for told in connection.notifies():
            for queue in queues:
                queue.put_nowait(told.payload)


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


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    listening = asyncio.create_task(listen())
    yield
    listening.cancel()


app = Starlette(routes=[Route("/stream", stream)], lifespan=lifespan)
