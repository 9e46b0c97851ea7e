"""Three regions that answer what a test says, and a gateway over them on real sockets."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import aiohttp
from aiohttp import web
from fake_resources import (
    KEY,
    LOCATIONS,
    SERVICE,
    Clock,
    FakeResources,
    deploy_service,
    run,
    serve,
)

from local_azure.gateway import create_app
from local_azure.gateway.app import MAX_BODY
from local_azure.identity import Tokens

POLICY = (Path(__file__).parent / "pool_policy.xml").read_text(encoding="utf-8")

LARGE = b'{"model": "embed", "pad": "' + b"x" * 2 * 1024 * 1024 + b'"}'
CHAT = "/inference/openai/deployments/chat/chat/completions?api-version=2024-10-21"


class Region:
    """A region that records what it gets and answers what it is told to."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.requests: list[SimpleNamespace] = []
        self.respond: Callable[[web.Request], web.StreamResponse] | None = None
        self.status = 200
        self.headers: dict[str, str] = {}
        self.down = False

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(
            SimpleNamespace(
                path=request.raw_path,
                method=request.method,
                headers=request.headers.copy(),
                body=await request.read(),
            )
        )
        if self.respond is not None:
            return await self.respond(request)
        return web.json_response({"from": self.name}, status=self.status, headers=self.headers)


class World:
    """Three regions, a gateway over them, and a client."""

    def __init__(self) -> None:
        self.resources = FakeResources()
        self.tokens = Tokens(b"secret")
        self.clock = Clock()
        self.regions = {name: Region(name) for name in LOCATIONS}
        self.addresses: dict[str, str] = {}
        self.log: dict[str, Callable[..., None]] = {}

    async def start(self, stack, *, policy=POLICY, instances=1, choose=None, log=None, **service):
        deploy_service(self.resources, policy, **service)
        self.log = log(self.resources) if log else {}
        for name, region in self.regions.items():
            app = web.Application(client_max_size=MAX_BODY)
            app.router.add_route("*", "/{path:.*}", region.handle)
            self.addresses[f"{name}-test.openai.azure.com"] = await serve(stack, app)
        return await self.open(stack, instances=instances, choose=choose)

    async def restart(self):
        """Go on with a gateway that remembers nothing, over the same regions."""
        return await self.open(self.stack)

    async def open(self, stack, *, instances=1, choose=None):
        self.stack = stack
        app = create_app(
            self.resources,
            SERVICE,
            instances=instances,
            resolve=self.resolve,
            tokens=self.tokens,
            clock=self.clock,
            **self.log,
            **({"choose": choose} if choose else {}),
        )
        self.url = await serve(stack, app)
        self.session = await stack.enter_async_context(aiohttp.ClientSession())
        return self

    def resolve(self, host):
        region = self.regions.get(host.partition("-")[0])
        return None if region is not None and region.down else self.addresses.get(host)

    def down(self, name, *, down=True):
        """Take a name out of the DNS, as a closed port would: no connection."""
        self.regions[name].down = down
        self.resources.revision += 1

    async def call(self, method="POST", path=CHAT, *, key=KEY, headers=None, **settings):
        headers = {**({"api-key": key} if key else {}), **(headers or {})}
        settings.setdefault("json", {"messages": []} if method == "POST" else None)
        async with self.session.request(
            method, self.url + path, headers=headers, **settings
        ) as answer:
            return SimpleNamespace(
                status=answer.status,
                headers=answer.headers.copy(),
                body=await answer.read(),
                reason=answer.reason,
            )

    async def hosts(self, count) -> list[str]:
        """Return the names of the backends that answered `count` requests in turn."""
        answers = [await self.call() for _ in range(count)]
        assert {answer.status for answer in answers} == {200}
        return [answer.headers["x-backend-host"].partition("-")[0] for answer in answers]


def in_world(test, **settings):
    """Run a test in a world of its own."""

    async def body(stack):
        world = World()
        await world.start(stack, **settings)
        await test(world)

    run(body)


def cut(*, after: bytes, length: int, content_type: str = "application/octet-stream"):
    """Announce `length` bytes, send some, and cut the connection."""

    async def respond(request):
        response = web.StreamResponse(headers={"Content-Type": content_type})
        response.content_length = length
        await response.prepare(request)
        await response.write(after)
        request.transport.close()
        return response

    return respond


async def streams_events(request):
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for each in (b"data: 1\n\n", b"data: [DONE]\n\n"):
        await response.write(each)
    await response.write_eof()
    return response


async def hear_first_event_before_the_second(world, name):
    """Have a region wait between the two events of a stream until the client has the first."""
    heard = asyncio.Event()

    async def speak(request):
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"data: one\n\n")
        await heard.wait()
        await response.write(b"data: two\n\n")
        await response.write_eof()
        return response

    world.regions[name].respond = speak
    async with world.session.post(world.url + CHAT, json={}, headers={"api-key": KEY}) as answer:
        assert await answer.content.readuntil(b"\n\n") == b"data: one\n\n"
        heard.set()
        assert await answer.content.read() == b"data: two\n\n"
