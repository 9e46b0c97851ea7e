"""The bench's clients and regions: what they count is what was answered."""

import asyncio

from benchmarks.load.client import Target, measure, open_streams
from benchmarks.load.regions import Region


def run(test):
    async def main():
        loop = asyncio.get_running_loop()
        region = await loop.create_server(lambda: Region("one", pause=0.02), "127.0.0.1", 0)
        async with region:
            return await test(f"http://127.0.0.1:{region.sockets[0].getsockname()[1]}/chat")

    return asyncio.run(main())


def test_each_request_is_sent_once_and_answered():
    result = run(lambda url: measure(Target(url=url), requests=50, connections=3))
    assert result.failed == 0
    assert 0 < result.p50 <= result.p99
    assert result.per_second > 0


def test_refusals_and_lost_connections_are_failures():
    class Refusing(asyncio.Protocol):
        def connection_made(self, transport):
            self.transport = transport
            self.answers = 0

        def data_received(self, data):
            self.answers += 1
            if self.answers == 3:
                self.transport.close()
            else:
                self.transport.write(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")

    async def main():
        server = await asyncio.get_running_loop().create_server(Refusing, "127.0.0.1", 0)
        async with server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            return await measure(Target(url=url), requests=10, connections=2)

    assert asyncio.run(main()).failed == 10


def test_streams_that_receive_are_counted():
    assert run(lambda url: open_streams(Target(url=url), 5, seconds=0.2)) == 5
