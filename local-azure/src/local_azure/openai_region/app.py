"""The endpoint of one account over HTTP: its paths, who may ask, limits and latency."""

import asyncio
import json
import math
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from aiohttp import web

from local_azure import hardening, network
from local_azure.faults import Faults
from local_azure.identity import Tokens
from local_azure.locations import PUBLIC, Locations
from local_azure.openai_region import (
    access,
    answers,
    audio,
    errors,
    forms,
    images,
    response_events,
    responses,
)
from local_azure.openai_region.exchange import Call, answer, as_json, cut, send, stream, typed
from local_azure.openai_region.limits import Limiter
from local_azure.openai_region.responses_store import Responses, Stored
from local_azure.store import Resource, Resources

DEPLOYMENT: Final = "Microsoft.CognitiveServices/accounts/deployments"
MAX_BODY: Final = 32 * 1024 * 1024

# Azure OpenAI in Foundry Models REST API reference, "API specs"; those still served.
API_VERSIONS: Final = frozenset(
    {
        "2023-05-15",
        "2024-02-01",
        "2024-06-01",
        "2024-10-21",
        "2024-08-01-preview",
        "2024-09-01-preview",
        "2024-10-01-preview",
        "2024-12-01-preview",
        "2025-01-01-preview",
        "2025-02-01-preview",
        "2025-03-01-preview",
        "2025-04-01-preview",
    }
)
# The /openai/v1 paths need none, and take these.
V1_API_VERSIONS: Final = frozenset({"v1", "preview", "latest"})
_KINDS: Final = {
    "embedding": ("embedding",),
    "image": ("image", "dall-e"),
    "transcription": ("whisper", "transcribe"),
    "speech": ("tts",),
}
# The first that has the Responses API.
_RESPONSES_SINCE: Final = "2025-03-01-preview"

Handler = Callable[[Call], Awaitable[web.StreamResponse]]


def create_app(
    resources: Resources,
    account_id: str,
    *,
    tokens: Tokens,
    faults: Faults,
    latency: Callable[[str], float],
    clock: Callable[[], float] = time.monotonic,
    locations: Locations = PUBLIC,
    propagation: float = 0.0,
    now: Callable[[], float] = time.time,
    inside: int | None = None,
    kept: Responses | None = None,
) -> web.Application:
    """Return the endpoint of one account, with the responses that it has `kept` so far.

    What comes in at the port `inside` has come in a way that the account's network takes.
    `latency` gives the seconds a location takes to answer; `clock` gives seconds, for the limits.
    A role or a deployment is known here `propagation` seconds after it was made, by `now`: in Azure
    roles take up to 30 minutes, deployments up to 5 (H: Troubleshoot Azure RBAC; M: the wording of
    DeploymentNotFound).
    """
    region = _Region(
        resources,
        account_id,
        tokens=tokens,
        faults=faults,
        latency=latency,
        clock=clock,
        locations=locations,
        known_by=lambda: now() - propagation if propagation else math.inf,
        inside=inside,
        kept=Responses(now) if kept is None else kept,
    )
    app = web.Application(client_max_size=MAX_BODY)
    app[hardening.FRONT] = hardening.Front(refuse=_refuse, answers_to=region.answers_to)
    for prefix, v1 in (("/openai", False), ("/openai/v1", True)):
        by_name = "" if v1 else "/deployments/{deployment}"
        for method, path, handler in (
            ("POST", f"{by_name}/chat/completions", region.chat),
            ("POST", f"{by_name}/embeddings", region.embeddings),
            ("POST", f"{by_name}/images/generations", region.make_images),
            ("POST", f"{by_name}/images/edits", region.edit_images),
            ("POST", f"{by_name}/audio/transcriptions", region.transcribe),
            ("POST", f"{by_name}/audio/translations", region.translate),
            ("POST", f"{by_name}/audio/speech", region.speak),
            ("GET", "/models", region.models),
            ("GET", "/models/{model}", region.model),
        ):
            app.router.add_route(method, prefix + path, region.endpoint(handler, v1=v1))
        for method, path, handler in (
            ("POST", "", region.respond),
            ("GET", "/{response}", region.response),
            ("DELETE", "/{response}", region.delete_response),
            ("POST", "/{response}/cancel", region.cancel_response),
            ("GET", "/{response}/input_items", region.input_items),
        ):
            app.router.add_route(
                method,
                f"{prefix}/responses{path}",
                region.endpoint(handler, v1=v1, since=_RESPONSES_SINCE),
            )
    app.router.add_route("*", "/{path:.*}", region.endpoint(region.nothing, v1=True))
    return app


def host_name(account: Resource) -> str:
    """Return the host name of an account, in lower case; empty while it has no endpoint."""
    return urlsplit(account.body["properties"].get("endpoint", "")).hostname or ""


@dataclass(frozen=True, kw_only=True)
class _Deployment:
    name: str
    model: str
    version: str
    capacity: int

    @property
    def kind(self) -> str:
        """What the model is made for, by its name."""
        for kind, names in _KINDS.items():
            if any(name in self.model for name in names):
                return kind
        return "chat"

    @property
    def served_by(self) -> str:
        """The model's name in answers, such as `gpt-5-mini-2025-08-07`."""
        return f"{self.model}-{self.version}"


class _Region:
    """The state of one account's endpoint."""

    def __init__(
        self,
        resources: Resources,
        account_id: str,
        *,
        tokens: Tokens,
        faults: Faults,
        latency: Callable[[str], float],
        clock: Callable[[], float],
        locations: Locations,
        known_by: Callable[[], float],
        inside: int | None,
        kept: Responses,
    ) -> None:
        self._inside = inside
        self._kept = kept
        self._resources = resources
        self._account_id = account_id
        self._tokens = tokens
        self._faults = faults
        self._latency = latency
        self._clock = clock
        self._locations = locations
        self._known_by = known_by
        self._limiters: dict[str, Limiter] = {}

    def answers_to(self, host: str) -> bool:
        """Tell whether a host name is the account's own."""
        account = self._resources.get(self._account_id)
        return account is not None and host == host_name(account)

    def endpoint(
        self, handler: Handler, *, v1: bool, since: str = ""
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """Wrap a handler with what all share: faults, access, api-version, headers and errors."""

        async def handle(request: web.Request) -> web.StreamResponse:
            account = self._resources.get(self._account_id)
            if account is None:
                return cut(request)
            fault = self._faults.of(account.body["name"])
            if fault is not None and fault.down:
                return cut(request)
            call = Call(
                request=request,
                account=account,
                fault=fault,
                api_version=request.query.get("api-version", ""),
                headers={
                    "x-ms-region": self._locations.display_name(account.body["location"]),
                    "apim-request-id": str(uuid.uuid4()),
                },
            )
            try:
                await self._rehearse(call)
                self._check_network(call)
                access.check(
                    request.headers, account, self._resources, self._tokens, self._known_by()
                )
                _check_api_version(call.api_version, v1=v1, since=since)
                return await handler(call)
            except RecursionError:  # what could just be read, and no longer be told again
                error = errors.invalid_request("The JSON body of your request is nested too deep.")
                return await answer(call, error.body, status=error.status)
            except errors.ApiError as error:
                if error.retry_after is not None:
                    call.headers["Retry-After"] = str(error.retry_after)
                return await answer(call, error.body, status=error.status)

        return handle

    def _check_network(self, call: Call) -> None:
        transport = call.request.transport
        port = transport.get_extra_info("sockname")[1] if transport else None
        if self._inside is not None and port == self._inside:
            return
        if network.is_closed(call.account):
            raise errors.public_access_disabled()
        if not network.takes_address(call.account, call.request.remote or ""):
            raise errors.address_denied()

    async def chat(self, call: Call) -> web.StreamResponse:
        """Answer a chat completion, whole or streamed."""
        body, deployment = await self._read(call, "chatCompletion", "chat")
        chat = answers.read_chat(body, deployment.model)
        self._limit(call, deployment, "ChatCompletions_Create", chat.expected_tokens)
        await self._wait(call)
        completion = answers.complete(chat, call.region)
        envelope = {
            "id": f"chatcmpl-{uuid.uuid4().hex[:29]}",
            "created": int(time.time()),
            "model": deployment.served_by,
            "system_fingerprint": None,
        }
        if not chat.stream:
            return await answer(call, answers.completion_body(completion, envelope))
        chunks = answers.completion_chunks(completion, envelope, include_usage=chat.include_usage)
        events = [f"data: {as_json(chunk)}\n\n".encode() for chunk in chunks]
        return await stream(call, [*events, b"data: [DONE]\n\n"])

    async def embeddings(self, call: Call) -> web.StreamResponse:
        """Answer with embeddings."""
        body, deployment = await self._read(call, "embeddings", "embedding")
        request = answers.read_embeddings(body, deployment.model)
        self._limit(call, deployment, "Embeddings_Create", request.prompt_tokens)
        await self._wait(call)
        return await answer(call, answers.embeddings_body(request, deployment.served_by))

    async def make_images(self, call: Call) -> web.StreamResponse:
        """Answer with pictures."""
        body, deployment = await self._read(call, "imageGeneration", "image")
        return await self._show(call, deployment, images.read(body, deployment.model))

    async def edit_images(self, call: Call) -> web.StreamResponse:
        """Answer with pictures for those in a form."""
        form = await forms.read(call.request)
        deployment = self._deployment(call, form.fields, "imageEdit", "image")
        shown = len(form.files.get("image", ()))
        asked = images.read(form.fields, deployment.model, shown=shown)
        return await self._show(call, deployment, asked)

    async def _show(
        self, call: Call, deployment: _Deployment, asked: images.Images
    ) -> web.StreamResponse:
        # Assumed: pictures and audio are limited by requests, and by the tokens of their prompts.
        self._limit(call, deployment, "Images_Create", asked.prompt_tokens)
        await self._wait(call)
        if asked.stream:
            return await stream(call, typed(images.events(asked, self._kept.now())))
        return await answer(call, images.whole(asked, self._kept.now()))

    async def transcribe(self, call: Call) -> web.StreamResponse:
        """Write down what a file says."""
        return await self._write(call, "transcribe")

    async def translate(self, call: Call) -> web.StreamResponse:
        """Write down in English what a file says."""
        return await self._write(call, "translate")

    async def _write(self, call: Call, task: str) -> web.StreamResponse:
        form = await forms.read(call.request)
        operation = "audioTranscription" if task == "transcribe" else "audioTranslation"
        deployment = self._deployment(call, form.fields, operation, "transcription")
        recording = audio.read_recording(form, deployment.model, task=task)
        self._limit(call, deployment, "Audio_Transcribe", recording.prompt_tokens)
        await self._wait(call)
        if recording.stream:
            return await stream(call, typed(audio.written_events(recording, call.region)))
        written = audio.written(recording, call.region)
        return await (send(call, *written) if isinstance(written, tuple) else answer(call, written))

    async def speak(self, call: Call) -> web.StreamResponse:
        """Say a text."""
        body, deployment = await self._read(call, "audioSpeech", "speech")
        speech = audio.read_speech(body, deployment.model)
        self._limit(call, deployment, "Audio_Speech", speech.tokens)
        await self._wait(call)
        if speech.stream:
            return await stream(call, typed(audio.spoken_events(speech)))
        return await send(call, *audio.spoken(speech))

    async def models(self, call: Call) -> web.StreamResponse:
        """List what is deployed; it costs no tokens."""
        await self._wait(call)
        return await answer(call, {"object": "list", "data": list(self._models().values())})

    async def model(self, call: Call) -> web.StreamResponse:
        """Show what is deployed, by the name it has in the list."""
        await self._wait(call)
        model = self._models().get(call.request.match_info["model"])
        if model is None:
            raise errors.not_found()  # ? the code
        return await answer(call, model)

    def _models(self) -> dict[str, dict[str, Any]]:
        return {
            deployment.served_by: {"id": deployment.served_by, "object": "model", "created": 0}
            for deployment in self._deployments()
        }

    async def respond(self, call: Call) -> web.StreamResponse:
        """Answer with a response, whole, streamed, or in background."""
        responses.check_offered(call.location)
        body, deployment = await self._read(call, "responses", "chat")
        try:
            asked = responses.read(body, deployment.model, self._kept)
        except errors.ApiError:
            # Assumed: to look for what is not there takes as long, and counts against no limit.
            await self._wait(call)
            raise
        self._limit(call, deployment, "Responses_Create", asked.chat.expected_tokens)
        await self._wait(call)
        response = responses.respond(asked, deployment.served_by, call.region, self._kept)
        if asked.is_background and not asked.chat.stream:
            response.wait(self._kept.now())
        if asked.is_stored:
            self._kept.keep(response)
        if asked.chat.stream:
            return await stream(call, typed(response_events.events(response.body)))
        return await answer(call, response.shown(self._kept.now()))

    async def response(self, call: Call) -> web.StreamResponse:
        """Show a response, or give the rest of its stream."""
        response = await self._response(call)
        query = call.request.query
        if query.get("stream") != "true":
            return await answer(call, response.shown(self._kept.now()))
        after = responses.starting_after(response, query)
        events = response_events.events(response.body)
        return await stream(
            call, typed(event for event in events if event["sequence_number"] > after)
        )

    async def delete_response(self, call: Call) -> web.StreamResponse:
        """Delete a response (OpenAI's API reference has the body)."""
        response = await self._response(call)
        self._kept.delete(response.id)
        return await answer(call, {"id": response.id, "object": "response", "deleted": True})

    async def cancel_response(self, call: Call) -> web.StreamResponse:
        """Cancel a response in background."""
        response = await self._response(call)
        return await answer(call, responses.cancel(response, self._kept.now()))

    async def input_items(self, call: Call) -> web.StreamResponse:
        """List what was put in."""
        response = await self._response(call)
        return await answer(call, responses.input_items(response, call.request.query))

    async def _response(self, call: Call) -> Stored:
        responses.check_offered(call.location)
        await self._wait(call)
        name = call.request.match_info["response"]
        response = self._kept.get(name)
        if response is None:
            raise errors.no_such("Response", name)
        return response

    async def nothing(self, _: Call) -> web.StreamResponse:
        """Answer for any other path."""
        raise errors.not_found()

    async def _rehearse(self, call: Call) -> None:
        fault = call.fault
        if fault is None:
            return
        if fault.latency:
            await asyncio.sleep(fault.latency)
        if fault.status == 429:
            # Without `retry_after` the header is left out, as a careless proxy does.
            seconds = 60 if fault.retry_after is None else fault.retry_after
            error = errors.throttled("ChatCompletions_Create", call.api_version, "call", seconds)
            error.retry_after = fault.retry_after
            raise error
        if fault.status is not None:
            raise errors.failed(fault.status, fault.retry_after)

    async def _read(
        self, call: Call, operation: str, kind: str
    ) -> tuple[Mapping[str, Any], _Deployment]:
        """Return the JSON body and the deployment, made for a kind of operation."""
        try:
            body = json.loads(await call.request.read())
        except (ValueError, RecursionError):
            raise errors.invalid_request(
                "We could not parse the JSON body of your request."
            ) from None
        if not isinstance(body, dict):
            raise errors.invalid_request("The JSON body of your request is no object.")
        return body, self._deployment(call, body, operation, kind)

    def _deployment(
        self, call: Call, body: Mapping[str, Any], operation: str, kind: str
    ) -> _Deployment:
        # On the /openai/v1 paths the model is the deployment's name.
        name = call.request.match_info.get("deployment") or body.get("model")
        if not isinstance(name, str):
            raise errors.invalid_request("you must provide a model parameter", "model")
        for deployment in self._deployments():
            if deployment.name.lower() == name.lower():
                if deployment.kind != kind:
                    raise errors.operation_not_supported(operation, deployment.model)
                return deployment
        raise errors.deployment_not_found()

    def _deployments(self) -> list[_Deployment]:
        return [
            _Deployment(
                name=each.body["name"],
                model=each.body["properties"]["model"]["name"],
                version=each.body["properties"]["model"]["version"],
                capacity=each.body["sku"]["capacity"],
            )
            for each in self._resources.list(DEPLOYMENT, self._account_id)
            if each.pending != "Creating" or each.ready_at <= self._known_by()
        ]

    def _limit(self, call: Call, deployment: _Deployment, operation: str, tokens: int) -> None:
        limiter = self._limiters.get(deployment.name)
        if limiter is None or limiter.capacity != deployment.capacity:
            limiter = Limiter(deployment.capacity, clock=self._clock)
            self._limiters[deployment.name] = limiter
        exceeded = limiter.use(tokens)
        call.headers["x-ratelimit-remaining-requests"] = str(limiter.remaining_requests)
        call.headers["x-ratelimit-remaining-tokens"] = str(limiter.remaining_tokens)
        if exceeded is not None:
            raise errors.throttled(
                operation, call.api_version or "v1", exceeded.limit, exceeded.retry_after
            )

    async def _wait(self, call: Call) -> None:
        if seconds := self._latency(call.location):
            await asyncio.sleep(seconds)


def _check_api_version(api_version: str, *, v1: bool, since: str) -> None:
    known = V1_API_VERSIONS | API_VERSIONS | {""} if v1 else API_VERSIONS
    if api_version not in known or (not v1 and api_version < since):
        raise errors.not_found()


def _refuse(status: int, message: str) -> web.Response:
    error = errors.not_found() if status == 404 else errors.refused(status, message)
    return web.json_response(error.body, status=status)
