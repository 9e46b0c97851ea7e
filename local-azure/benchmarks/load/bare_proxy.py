"""The least a proxy on aiohttp can do: `python -m benchmarks.load.bare_proxy PORT REGION...`.

In turn to each region, with no policy, key or token.
"""

import asyncio
import itertools
import sys

import aiohttp
from aiohttp import web


async def _serve(port: int, regions: list[str]) -> None:
    turn = itertools.cycle(regions)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:

        async def handle(request: web.Request) -> web.Response:
            url = f"{next(turn)}{request.raw_path}"
            headers = {"Content-Type": request.content_type}
            body = await request.read()
            async with session.request(request.method, url, data=body, headers=headers) as answer:
                return web.Response(
                    status=answer.status,
                    body=await answer.read(),
                    content_type=answer.content_type,
                )

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handle)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), sys.argv[2:]))
