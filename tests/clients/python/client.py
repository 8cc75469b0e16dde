"""Prints the events of a stream, read by one of several libraries, as JSON lines.

Usage: client.py LIBRARY URL. It reconnects after its last event ID until it is ended.
"""

import asyncio
import json
import sys
import time

PAUSE_SECONDS = 0.05

last_id = ""


def emit(kind, event_id, data):
    """Prints an event. An ID without data moves the position, and is no event."""
    global last_id
    if event_id:
        last_id = event_id
    print(json.dumps({"type": kind or "message", "id": event_id, "data": data}), flush=True)


def headers():
    return {"Last-Event-ID": last_id} if last_id else {}


def forever(read):
    """Reads again and again: none of these libraries reconnects in every case."""
    while True:
        try:
            read()
        except Exception as error:  # Whatever the library throws when the connection breaks.
            print(repr(error), file=sys.stderr)
        time.sleep(PAUSE_SECONDS)


def httpx_sse(url):
    import httpx
    from httpx_sse import connect_sse

    def read():
        with httpx.Client(timeout=None) as client:
            with connect_sse(client, "GET", url, headers=headers()) as source:
                for event in source.iter_sse():
                    emit(event.event, event.id, event.data)

    forever(read)


def sseclient_py(url):
    import requests
    from sseclient import SSEClient

    def read():
        with requests.get(url, stream=True, headers=headers()) as response:
            for event in SSEClient(response).events():
                emit(event.event, event.id, event.data)

    forever(read)


def aiosseclient(url):
    from aiosseclient import aiosseclient as connect

    async def read():
        async for event in connect(url, last_id=last_id or None):
            emit(event.event, event.id, event.data)

    forever(lambda: asyncio.run(read()))


{"httpx-sse": httpx_sse, "sseclient-py": sseclient_py, "aiosseclient": aiosseclient}[sys.argv[1]](
    sys.argv[2]
)
