"""One request to a regional endpoint, and how it is answered: whole, as a stream, or cut short."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from local_azure.faults import Fault
from local_azure.store import Resource


@dataclass(kw_only=True)
class Call:
    """One request and what is known about it; `headers` are those of its answer."""

    request: web.Request
    account: Resource
    fault: Fault | None
    api_version: str
    headers: dict[str, str]

    @property
    def location(self) -> str:
        return str(self.account.body.get("location", ""))

    @property
    def region(self) -> str:
        """The display name of the location."""
        return self.headers["x-ms-region"]

    @property
    def is_cut(self) -> bool:
        return self.fault is not None and self.fault.reset


def typed(events: Iterable[Mapping[str, Any]]) -> list[bytes]:
    """Return server-sent events, each under the name that its `type` says."""
    return [f"event: {each['type']}\ndata: {as_json(each)}\n\n".encode() for each in events]


def as_json(body: Mapping[str, Any]) -> str:
    return json.dumps(body, separators=(",", ":"))


async def answer(call: Call, body: Mapping[str, Any], *, status: int = 200) -> web.StreamResponse:
    """Answer with JSON."""
    return await send(call, as_json(body).encode(), "application/json; charset=utf-8", status)


async def send(call: Call, data: bytes, kind: str, status: int = 200) -> web.StreamResponse:
    """Answer with a body of a content type; with half of it where that is rehearsed."""
    headers = {**call.headers, "Content-Type": kind}
    if not call.is_cut:
        return web.Response(status=status, headers=headers, body=data)
    response = web.StreamResponse(status=status, headers=headers)
    response.content_length = len(data)
    await response.prepare(call.request)
    await response.write(data[: len(data) // 2])
    return cut(call.request, response)


async def stream(call: Call, events: list[bytes]) -> web.StreamResponse:
    """Answer with server-sent events; with half of them where that is rehearsed."""
    response = web.StreamResponse(headers=call.headers)
    response.content_type = "text/event-stream"
    await response.prepare(call.request)
    for event in events[: len(events) // 2] if call.is_cut else events:
        await response.write(event)
    if call.is_cut:
        return cut(call.request, response)
    await response.write_eof()
    return response


def cut(request: web.Request, response: web.StreamResponse | None = None) -> web.StreamResponse:
    """Close the connection as it is, without a word to the client."""
    if request.transport is not None:
        request.transport.close()
    return response or web.Response(status=503)
