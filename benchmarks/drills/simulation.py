"""A drill without sockets or waiting: the program's policy on the gateway's own pool and breakers.

What the regions answer and when is made up; what is asked of them is the policy, compiled as it is
when it is deployed, and the local Azure's balancer and circuit breaker.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from multidict import CIMultiDict

from benchmarks.drills import virtual_time
from benchmarks.drills.load import Sample
from benchmarks.drills.report import Outcome
from benchmarks.drills.scenarios import REGIONS, Drill
from components import settings
from components.inference_api import policy_xml
from components.traffic import POOL_NAME
from demo import LATENCY
from local_azure import durations
from local_azure.faults import Fault
from local_azure.gateway.balancer import Member
from local_azure.gateway.breaker import Rule
from local_azure.gateway.configuration import Backend, Configuration, Pool
from local_azure.gateway.exchange import (
    Api,
    Deployment,
    Exchange,
    Operation,
    ProxyError,
    Request,
    Response,
    Url,
)
from local_azure.gateway.instance import Instance
from local_azure.gateway.policy import Policy, compile_policy
from local_azure.gateway.services import PolicyServices
from local_azure.identity import Tokens

REFUSAL_SECONDS: Final = 0.02
"""How long a region takes to say no."""
BEFORE: Final = 6.0
_SLOW: Final = "x-slow"
_DENIALS: Final = ((401, 401), (403, 403))


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the sweep varies; times in seconds."""

    count: int
    interval: float
    trip_duration: float
    accept_retry_after: bool
    retries: int
    timeout: int
    deadline: int
    repeat_unanswered: bool
    count_denials: bool = False

    def config(self) -> dict[str, object]:
        """Return the stack's config with its retries."""
        regions = [
            {"name": name, "location": location}
            for name, location in zip(REGIONS, LATENCY, strict=True)
        ]
        retries = {"count": self.retries, "timeout": self.timeout, "deadline": self.deadline}
        retries["repeatUnanswered"] = self.repeat_unanswered
        return {"regions": regions, "revealBackend": False, "retries": retries}


def own(*, repeat_unanswered: bool = False) -> Settings:
    """Return the program's defaults, as it would deploy them."""
    breaker = settings.Breaker.model_construct()
    retries = settings.Retries.model_construct(repeat_unanswered=repeat_unanswered)
    return Settings(
        count=breaker.count,
        interval=durations.iso_8601(breaker.interval),
        trip_duration=durations.iso_8601(breaker.trip_duration),
        accept_retry_after=breaker.accept_retry_after,
        retries=retries.count,
        timeout=retries.timeout,
        deadline=retries.deadline,
        repeat_unanswered=retries.repeat_unanswered,
    )


@dataclass(frozen=True, kw_only=True)
class Weather:
    """What is so all the time.

    Requests come at random, `per_second` on average, until `after` seconds after the fault.
    `failing` is the share of answers that are a 500, `slow` the share of requests that take any
    region `slow_seconds`, as those that a model reasons about at length.
    """

    per_second: float = 10.0
    after: float = 90.0
    failing: float = 0.0
    slow: float = 0.0
    slow_seconds: float = 90.0


@dataclass
class _Regions:
    """The regions' side: `local_azure.gateway.services.Wire`."""

    weather: Weather
    dice: random.Random
    drill: Drill | None = None
    asked: Counter[str] = field(default_factory=Counter)

    async def send(self, request: Request, *, buffer: bool) -> Response:  # noqa: ARG002
        region = request.url.host
        self.asked[region] += 1
        seconds = dict(zip(REGIONS, LATENCY.values(), strict=True))[region]
        if _SLOW in request.headers:
            seconds = self.weather.slow_seconds
        drill = self.drill if self.drill and region in self.drill.regions else None
        if drill and drill.role_lost:
            return await self._refuse(401)
        fault = Fault.from_json(drill.fault) if drill else None
        if fault and (fault.closed or fault.down):
            raise OSError("Connection refused")
        if fault and fault.status:
            return await self._refuse(fault.status, fault.retry_after)
        if self.weather.failing and self.dice.random() < self.weather.failing:
            return await self._refuse(500)
        await asyncio.sleep(seconds + ((fault.latency or 0.0) if fault else 0.0))
        return Response(status=200, reason="cut" if fault and fault.reset else None)

    async def _refuse(self, status: int, retry_after: int | None = None) -> Response:
        await asyncio.sleep(REFUSAL_SECONDS)
        headers = CIMultiDict({} if retry_after is None else {"Retry-After": str(retry_after)})
        return Response(status=status, headers=headers)


@lru_cache
def _policy(wanted: Settings) -> Policy:
    return compile_policy(policy_xml(settings.parse(wanted.config()), "BasicV2"))


def _configuration(wanted: Settings) -> Configuration:
    rule = Rule(
        count=wanted.count,
        interval=wanted.interval,
        statuses=(*_DENIALS * wanted.count_denials, (429, 429), (500, 599)),
        reasons=frozenset(),
        trip_duration=wanted.trip_duration,
        accept_retry_after=wanted.accept_retry_after,
    )
    backends: dict[str, Backend | Pool] = {
        name: Backend(name=name, url=Url.parse(f"https://{name}/openai"), rule=rule)
        for name in REGIONS
    }
    members = tuple(Member(name=name, priority=1, weight=1) for name in REGIONS)
    return Configuration(
        apis=(),
        backends={**backends, POOL_NAME: Pool(name=POOL_NAME, members=members)},
        subscriptions=(),
        deployment=Deployment(region="UK South", service_name="apim"),
        principal_id="gateway",
        assigned={},
    )


def simulate(
    drill: Drill, wanted: Settings, *, weather: Weather, instances: int, seed: int = 1
) -> tuple[Outcome, int]:
    """Return what clients saw of a drill, and how many requests the regions got."""
    return virtual_time.run(_simulate(drill, wanted, weather, instances, random.Random(seed)))


async def _simulate(
    drill: Drill, wanted: Settings, weather: Weather, instances: int, dice: random.Random
) -> tuple[Outcome, int]:
    clock = asyncio.get_running_loop().time
    running = _configuration(wanted)
    units = [Instance(clock) for _ in range(instances)]
    regions = _Regions(weather, dice)
    policy = _policy(wanted)
    tokens = Tokens(b"sweep")
    samples: list[Sample] = []

    async def ask() -> None:
        exchange = _exchange(PolicyServices(regions, tokens, running, dice.choice(units)), clock)
        if weather.slow and dice.random() < weather.slow:
            exchange.request.headers[_SLOW] = ""
        sent = clock()
        status = 503
        try:
            await policy.backend(exchange)
        except ProxyError:
            pass
        else:
            status = exchange.response.status if exchange.response else 503
        samples.append(
            Sample(
                sent=sent,
                seconds=clock() - sent,
                status=status,
                cut=bool(exchange.response and exchange.response.reason == "cut"),
                region=exchange.request.url.host if status == 200 else "",
                attempts=int(str(exchange.variables["attempts"])),
                told=status in (429, 503),
            )
        )

    ended = BEFORE + drill.seconds
    async with asyncio.TaskGroup() as group:
        while clock() < ended + weather.after:
            await asyncio.sleep(dice.expovariate(weather.per_second))
            regions.drill = drill if BEFORE <= clock() < ended else None
            group.create_task(ask())
    outcome = Outcome(drill=drill, instances=instances, samples=samples, began=BEFORE, ended=ended)
    return outcome, regions.asked.total()


def _exchange(services: PolicyServices, clock: Callable[[], float]) -> Exchange:
    url = Url(scheme="http", host="gateway", port=80, path="/inference/openai")
    exchange = Exchange(
        services=services,
        request=Request(
            method="POST",
            url=url,
            original_url=url,
            ip_address="",
            headers=CIMultiDict(),
            body=b"{}",
        ),
        deployment=Deployment(region="UK South", service_name="apim"),
        request_id="",
        api=Api(id="inference", name="inference", path="inference", service_url=None),
        operation=Operation(id="chat", name="chat", method="POST", url_template="/"),
        started=clock(),
        clock=clock,
    )
    exchange.variables |= {"attempts": 0, "tried": "", "kept": True}
    exchange.variables |= {"id": "", "withheld": 0, "missed": False}  # it continues nothing
    return exchange
