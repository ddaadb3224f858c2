"""Reads a stream with a Python package, as its manual says: python python_client.py NAME URL

Prints one JSON line for each row, each reset, and when the client has given up for good. Where a
package leaves reconnecting to its user, the loop that its user needs is here.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterable, Iterator

SILENCE_S = 40  # a heartbeat comes every 15 s
RETRY_S = 0.5


def show(event: str, data: str) -> None:
    """Prints what the event is, where it is a row or a reset."""
    if event == "message" and data:
        say(row=json.loads(data)["body"])
    elif event == "reset":
        say(reset=json.loads(data)["reason"])


def say(**value: object) -> None:
    print(json.dumps(value), flush=True)


def read_requests(url: str) -> None:
    """No events, only lines: what belongs together, and the id, are its user's."""
    import requests

    last_id = ""
    while True:
        try:
            headers = {"Last-Event-ID": last_id}
            with requests.get(url, headers=headers, stream=True, timeout=SILENCE_S) as answer:
                if answer.status_code == 204:
                    return
                for fields in frames(line.decode() for line in answer.iter_lines()):
                    last_id = fields.get("id", last_id)
                    show(fields.get("event", "message"), fields.get("data", ""))
        except requests.RequestException as error:
            print(error, file=sys.stderr)
        time.sleep(RETRY_S)


def frames(lines: Iterable[str]) -> Iterator[dict[str, str]]:
    """The fields of each frame, once its blank line came."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        else:
            yield fields
            fields = {}


def read_requests_sse(url: str) -> None:
    """Reconnects by itself; a 204 is an error."""
    from requests_sse import EventSource, InvalidStatusCodeError

    with EventSource(url, timeout=SILENCE_S) as source:
        try:
            for event in source:
                show(event.type or "", event.data or "")
        except InvalidStatusCodeError:
            return


def read_sseclient(url: str) -> None:
    """Reconnects by itself, but not to a server that does not answer: then it needs its last id."""
    import requests
    from sseclient import SSEClient

    last_id = None
    while True:
        try:
            messages = SSEClient(url, last_id=last_id, timeout=SILENCE_S)
            for message in messages:
                last_id = messages.last_id
                show(message.event, message.data)
        except requests.RequestException as error:
            print(error, file=sys.stderr)
            time.sleep(RETRY_S)


def read_sseclient_py(url: str) -> None:
    import requests
    from sseclient import SSEClient

    last_id = ""
    while True:
        try:
            headers = {"Last-Event-ID": last_id}
            answer = requests.get(url, headers=headers, stream=True, timeout=SILENCE_S)
            if answer.status_code == 204:
                return
            for event in SSEClient(answer).events():
                last_id = event.id or last_id
                show(event.event, event.data)
        except requests.RequestException as error:
            print(error, file=sys.stderr)
        time.sleep(RETRY_S)


def read_httpx_sse(url: str) -> None:
    import httpx
    from httpx_sse import connect_sse

    last_id = ""
    while True:
        try:
            headers = {"Last-Event-ID": last_id}
            with (
                httpx.Client(timeout=SILENCE_S) as client,
                connect_sse(client, "GET", url, headers=headers) as source,
            ):
                if source.response.status_code == 204:
                    return
                for event in source.iter_sse():
                    last_id = event.id or last_id
                    show(event.event, event.data)
        except httpx.TransportError as error:
            print(error, file=sys.stderr)
        time.sleep(RETRY_S)


def read_aiohttp(url: str) -> None:
    """No events, only lines, as with `requests`."""
    asyncio.run(_read_aiohttp(url))


async def _read_aiohttp(url: str) -> None:
    import aiohttp

    last_id = ""
    timeout = aiohttp.ClientTimeout(total=None, sock_read=SILENCE_S)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        while True:
            try:
                async with session.get(url, headers={"Last-Event-ID": last_id}) as answer:
                    if answer.status == 204:
                        return
                    fields: dict[str, str] = {}
                    async for line in answer.content:
                        name, _, value = line.decode().rstrip("\n").partition(": ")
                        fields[name] = value
                        if line == b"\n":
                            last_id = fields.get("id", last_id)
                            show(fields.get("event", "message"), fields.get("data", ""))
                            fields = {}
            except aiohttp.ClientError as error:
                print(error, file=sys.stderr)
            await asyncio.sleep(RETRY_S)


def read_launchdarkly(url: str) -> None:
    """Reconnects by itself if told to continue after errors."""
    from ld_eventsource import SSEClient
    from ld_eventsource.config import ErrorStrategy

    client = SSEClient(url, error_strategy=ErrorStrategy.always_continue())
    for event in client.events:
        show(event.event, event.data)


READERS = {
    "requests": read_requests,
    "requests-sse": read_requests_sse,
    "sseclient": read_sseclient,
    "sseclient-py": read_sseclient_py,
    "httpx-sse": read_httpx_sse,
    "aiohttp": read_aiohttp,
    "launchdarkly-eventsource": read_launchdarkly,
}

if __name__ == "__main__":
    READERS[sys.argv[1]](sys.argv[2])
    say(closed=True)
