"""Pictures and speech of a region, over a real socket: by plain requests, and by the SDK."""

import asyncio
import base64
import io
import struct
import wave
import zlib

import aiohttp
import openai
import pytest
from fake_resources import PRINCIPAL, run
from test_openai_region import AUDIENCE, World
from test_responses import error, events_of

from local_azure.faults import Fault

V1 = "/openai/v1"
PICTURE = {"model": "image", "prompt": "A cat"}
SAY = {"model": "voice", "input": "Hello there", "voice": "alloy"}
SOUND = bytes(32_000)


def in_world(test, *, capacity=100):
    async def body(stack):
        world = World()
        await world.start(stack, capacity=capacity, every_kind=True)
        await test(world)

    run(body)


def by_sdk(test):
    async def body(world):
        settings = {
            "base_url": f"{world.url}/openai/v1/",
            "api_key": world.tokens.issue(PRINCIPAL, AUDIENCE),
            "max_retries": 0,
        }
        async with openai.AsyncOpenAI(**settings) as client:
            await test(client)
        with openai.OpenAI(**settings) as client:
            await asyncio.to_thread(ask_with, client)

    in_world(body)


def ask_with(client):
    assert client.images.generate(**PICTURE).data[0].b64_json
    told = client.audio.transcriptions.create(model="whisper", file=("a.wav", SOUND))
    assert told.text == "Hello from UK South. You sent a.wav of 2 seconds."
    assert client.audio.speech.create(**SAY).content


def form(files=(("file", "a.wav", SOUND),), **fields):
    data = aiohttp.FormData()
    for name, value in fields.items():
        data.add_field(name, value)
    for name, filename, content in files:
        data.add_field(name, content, filename=filename)
    return data


def pixels(picture):
    """Return width, height and colour of a PNG, all of it checked."""
    data = base64.b64decode(picture)
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    data, chunks = data[8:], {}
    while data:
        (length,) = struct.unpack(">I", data[:4])
        kind, held = data[4:8], data[8 : 8 + length]
        assert struct.unpack(">I", data[8 + length : 12 + length]) == (zlib.crc32(kind + held),)
        chunks[kind], data = held, data[12 + length :]
    width, height = struct.unpack(">II", chunks[b"IHDR"][:8])
    assert not any(rows := zlib.decompress(chunks[b"IDAT"]))
    assert len(rows) == height * (1 + width // 8)
    return width, height, chunks[b"PLTE"]


# --- pictures ----------------------------------------------------------------------------------


def test_a_picture_is_one_and_of_the_size_that_was_asked_for():
    async def test(world):
        answer = await world.call(f"{V1}/images/generations", {**PICTURE, "size": "1536x1024"})
        assert answer.headers["x-ms-region"] == "UK South"
        [held] = answer.json["data"]
        width, height, colour = pixels(held["b64_json"])
        assert (width, height) == (1536, 1024)
        assert answer.json["usage"] == {
            "input_tokens": 2,
            "input_tokens_details": {"text_tokens": 2, "image_tokens": 0},
            "output_tokens": 1568,
            "total_tokens": 1570,
        }
        path = "/openai/deployments/image/images/generations?api-version=2025-04-01-preview"
        other = await world.call(path, {"prompt": "A dog", "n": 2, "quality": "high"})
        assert len(other.json["data"]) == 2
        assert pixels(other.json["data"][0]["b64_json"])[2] != colour
        assert other.json["usage"]["output_tokens"] == 2 * 4160
        assert other.headers["x-ratelimit-remaining-requests"] == "598"

    in_world(test)


def test_a_classic_picture_is_a_url_or_held():
    async def test(world):
        ask = {**PICTURE, "model": "dalle", "style": "vivid"}
        [held] = (await world.call(f"{V1}/images/generations", ask)).json["data"]
        assert held["revised_prompt"] == "A cat"
        assert pixels(held["url"].removeprefix("data:image/png;base64,"))[:2] == (1024, 1024)
        ask["response_format"] = "b64_json"
        answer = await world.call(f"{V1}/images/generations", ask)
        assert pixels(answer.json["data"][0]["b64_json"])

    in_world(test)


def test_pictures_are_edited():
    async def test(world):
        data = form([("image[]", "a.png", b"a"), ("image[]", "b.png", b"b")], **PICTURE, n="2")
        answer = await world.call(f"{V1}/images/edits", data=data)
        assert len(answer.json["data"]) == 2
        assert answer.json["usage"]["input_tokens_details"]["image_tokens"] == 170
        path = "/openai/deployments/image/images/edits?api-version=2025-04-01-preview"
        data = form([("image", "a.png", b"a"), ("mask", "m.png", b"m")], prompt="A", stream="true")
        events = events_of(await world.call(path, data=data))
        assert [each["type"] for each in events] == ["image_edit.completed"]

    in_world(test)


def test_partial_pictures_come_first():
    async def test(world):
        ask = {**PICTURE, "stream": True, "partial_images": 2}
        events = events_of(await world.call(f"{V1}/images/generations", ask))
        assert [each["type"].partition(".")[2] for each in events] == [
            *("partial_image", "partial_image", "completed")
        ]
        assert [each.get("partial_image_index") for each in events] == [0, 1, None]
        assert events[-1]["usage"]["output_tokens"] == 1056

    in_world(test)


@pytest.mark.parametrize(
    ("given", "parameter"),
    [
        ({"prompt": ""}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"n": 11}, "n"),
        ({"n": 2, "stream": True}, "n"),
        ({"size": "1x1"}, "size"),
        ({"output_format": "webp"}, "output_format"),
        ({"background": "transparent"}, "background"),
        ({"quality": "best"}, "quality"),
        ({"response_format": "url"}, "response_format"),
        ({"partial_images": 4}, "partial_images"),
        ({"model": "dalle", "n": 2}, "n"),
        ({"model": "dalle", "stream": True}, "stream"),
        ({"x": 1}, None),
    ],
)
def test_what_is_wrong_of_a_picture_is_named(given, parameter):
    async def test(world):
        answer = await world.call(f"{V1}/images/generations", {**PICTURE, **given})
        assert error(answer)["param"] == parameter

    in_world(test)


# --- what is heard -----------------------------------------------------------------------------

SAID = "Hello from UK South. You sent a.wav of 2 seconds."


@pytest.mark.parametrize(
    ("task", "model"),
    [("transcriptions", "whisper"), ("transcriptions", "scribe"), ("translations", "whisper")],
)
def test_a_file_is_written_down(task, model):
    async def test(world):
        answer = await world.call(f"{V1}/audio/{task}", data=form(model=model))
        assert (answer.status, answer.json["text"]) == (200, SAID)
        assert answer.headers["x-ms-region"] == "UK South"
        usage = answer.json["usage"]
        if model == "whisper":
            assert usage == {"type": "duration", "seconds": 2}
        else:
            assert usage["input_token_details"] == {"audio_tokens": 20, "text_tokens": 0}
        path = f"/openai/deployments/{model}/audio/{task}?api-version=2024-10-21"
        assert (await world.call(path, data=form())).json == answer.json

    in_world(test)


@pytest.mark.parametrize(
    ("kind", "told", "content_type"),
    [
        ("text", f"{SAID}\n", "text/plain"),
        ("srt", f"1\n00:00:00,000 --> 00:00:02,000\n{SAID}\n\n", "text/plain"),
        ("vtt", f"WEBVTT\n\n00:00:00.000 --> 00:00:02.000\n{SAID}\n\n", "text/vtt"),
    ],
)
def test_what_is_heard_is_told_as_a_text(kind, told, content_type):
    async def test(world):
        data = form(model="whisper", response_format=kind)
        answer = await world.call(f"{V1}/audio/transcriptions", data=data)
        assert (answer.text, answer.type) == (told, content_type)

    in_world(test)


def test_what_is_heard_is_told_at_length():
    async def test(world):
        fields = {"model": "whisper", "response_format": "verbose_json", "temperature": "0.5"}
        answer = await world.call(f"{V1}/audio/translations", data=form(**fields))
        assert (answer.json["task"], answer.json["duration"]) == ("translate", 2)
        assert "words" not in answer.json
        data = form(**fields, **{"timestamp_granularities[]": "word"})
        told = (await world.call(f"{V1}/audio/transcriptions", data=data)).json
        assert " ".join(each["word"] for each in told["words"]) == told["text"] == SAID
        assert told["segments"][0]["end"] == told["words"][-1]["end"] == 2

    in_world(test)


def test_what_is_heard_is_streamed_but_for_whisper():
    async def test(world):
        fields = {"stream": "true"}
        answer = await world.call(f"{V1}/audio/transcriptions", data=form(model="scribe", **fields))
        events = events_of(answer)
        assert "".join(each.get("delta", "") for each in events) == events[-1]["text"] == SAID
        assert events[-1]["type"] == "transcript.text.done"
        whole = await world.call(f"{V1}/audio/transcriptions", data=form(model="whisper", **fields))
        assert whole.json["text"] == SAID

    in_world(test)


@pytest.mark.parametrize(
    ("path", "fields", "parameter"),
    [
        ("transcriptions", {}, "model"),
        ("transcriptions", {"model": "whisper", "response_format": "x"}, "response_format"),
        ("transcriptions", {"model": "scribe", "response_format": "srt"}, "response_format"),
        ("transcriptions", {"model": "whisper", "temperature": "2"}, "temperature"),
        ("transcriptions", {"model": "whisper", "temperature": "hot"}, "temperature"),
        ("transcriptions", {"model": "scribe", "stream": "yes"}, "stream"),
        ("transcriptions", {"model": "scribe", "include[]": "logprobs"}, "include"),
        (
            "transcriptions",
            {"model": "whisper", "timestamp_granularities[]": "word"},
            "timestamp_granularities",
        ),
        ("translations", {"model": "whisper", "language": "en"}, None),
    ],
)
def test_what_is_wrong_of_a_file_is_named(path, fields, parameter):
    async def test(world):
        answer = await world.call(f"{V1}/audio/{path}", data=form(**fields))
        assert error(answer)["param"] == parameter

    in_world(test)


def test_a_form_has_to_be_one():
    async def test(world):
        path = f"{V1}/audio/transcriptions"
        assert "multipart" in error(await world.call(path, {"model": "whisper"}))["message"]
        assert error(await world.call(path, data=form((), model="whisper")))["type"]
        data = form([("other", "a.wav", SOUND)], model="whisper")
        assert error(await world.call(path, data=data))["param"] == "file"
        headers = {
            "Authorization": f"Bearer {world.tokens.issue(PRINCIPAL, AUDIENCE)}",
            "Content-Type": "multipart/form-data; boundary=x",
        }
        answer = await world.call(path, data=b"--y\r\nnothing", headers=headers)
        assert "parse the form" in error(answer)["message"]

    in_world(test)


# --- what is spoken ----------------------------------------------------------------------------


def test_a_text_is_spoken_for_as_long_as_it_is():
    async def spoken(world, **given):
        headers = {"Authorization": f"Bearer {world.tokens.issue(PRINCIPAL, AUDIENCE)}"}
        async with world.session.post(
            f"{world.url}{V1}/audio/speech", json={**SAY, **given}, headers=headers
        ) as answer:
            assert answer.headers["x-ms-region"] == "UK South"
            return answer.content_type, await answer.read()

    async def test(world):
        kind, data = await spoken(world)
        assert kind == "audio/mpeg"
        assert len(data) % 417 == 0
        assert {data[at : at + 4] for at in range(0, len(data), 417)} == {b"\xff\xfb\x90\xc4"}
        assert len(data) / 417 * 1152 / 44_100 == pytest.approx(1, abs=0.03)
        kind, data = await spoken(world, response_format="wav")
        with wave.open(io.BytesIO(data)) as file:
            assert file.getnframes() == file.getframerate()
        assert (await spoken(world, response_format="pcm")) == ("audio/pcm", bytes(48_000))
        assert len((await spoken(world, input="Hello " * 9))[1]) > 417 * 80
        assert (await spoken(world, model="tts"))[0] == "audio/mpeg"
        answer = await world.call(f"{V1}/audio/speech", {**SAY, "stream_format": "sse"})
        events = events_of(answer)
        assert events[-1]["usage"]["input_tokens"] == 4
        parts = b"".join(base64.b64decode(each.get("audio", "")) for each in events)
        assert parts == (await spoken(world))[1]

    in_world(test)


@pytest.mark.parametrize(
    ("given", "parameter"),
    [
        ({"input": ""}, "input"),
        ({"input": "a" * 4097}, "input"),
        ({"voice": None}, "voice"),
        ({"speed": 5}, "speed"),
        ({"response_format": "opus"}, "response_format"),
        ({"model": "tts", "stream_format": "sse"}, "stream_format"),
        ({"model": "tts", "instructions": "Sing."}, "instructions"),
    ],
)
def test_what_is_wrong_of_a_text_is_named(given, parameter):
    async def test(world):
        answer = await world.call(f"{V1}/audio/speech", {**SAY, **given})
        assert error(answer)["param"] == parameter

    in_world(test)


# --- all of it ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "sent", "wrong"),
    [
        ("chat/completions", {"json": {"messages": [{"role": "user", "content": "a"}]}}, "image"),
        ("responses", {"json": {"input": "a"}}, "voice"),
        ("embeddings", {"json": {"input": "a"}}, "whisper"),
        ("images/generations", {"json": {"prompt": "a"}}, "chat"),
        ("images/edits", {"form": {"prompt": "a"}}, "chat"),
        ("audio/transcriptions", {"form": {}}, "chat"),
        ("audio/translations", {"form": {}}, "scribe"),
        ("audio/speech", {"json": {"input": "a", "voice": "b"}}, "whisper"),
    ],
)
def test_a_model_does_what_it_is_made_for(path, sent, wrong):
    async def test(world):
        if "json" in sent:
            answer = await world.call(f"{V1}/{path}", {**sent["json"], "model": wrong})
        else:
            answer = await world.call(f"{V1}/{path}", data=form(**sent["form"], model=wrong))
        assert error(answer)["code"] == "OperationNotSupported"

    in_world(test)


@pytest.mark.parametrize(
    "path", ["images/generations", "images/edits", "audio/transcriptions", "audio/speech"]
)
def test_limits_and_faults_are_as_for_a_chat(path):
    async def ask(world):
        match path:
            case "images/generations":
                return await world.call(f"{V1}/{path}", PICTURE)
            case "images/edits":
                data = form([("image", "a.png", b"a")], **PICTURE)
                return await world.call(f"{V1}/{path}", data=data)
            case "audio/speech":
                return await world.call(f"{V1}/{path}", {**SAY, "response_format": "pcm"})
            case _:
                return await world.call(f"{V1}/{path}", data=form(model="scribe"))

    async def test(world):
        for left in range(5, -1, -1):
            answer = await ask(world)
            assert answer.headers["x-ratelimit-remaining-requests"] == str(left)
        assert world.asked_latency == ["uksouth"] * 6
        answer = await ask(world)
        assert error(answer, 429)["code"] == "429"
        assert answer.headers["Retry-After"] == "60"
        world.faults.set("foundry1", Fault(status=503))
        assert (await ask(world)).status == 503
        world.clock.now += 60
        world.faults.set("foundry1", Fault(reset=True))
        with pytest.raises(aiohttp.ClientPayloadError):
            await ask(world)

    in_world(test, capacity=1)


def test_the_sdk_of_azure_asks_by_deployment():
    async def body(world):
        async with openai.AsyncAzureOpenAI(
            azure_endpoint=world.url,
            api_version="2025-04-01-preview",
            azure_ad_token=world.tokens.issue(PRINCIPAL, AUDIENCE),
            max_retries=0,
        ) as client:
            assert (await client.images.generate(**PICTURE)).data
            assert (await client.images.edit(model="image", prompt="A", image=b"a")).data
            ask = {"model": "whisper", "file": ("a.wav", SOUND)}
            assert (await client.audio.transcriptions.create(**ask)).text == SAID
            assert (await client.audio.speech.create(**SAY)).content
            first = await client.responses.create(model="chat", input="Hello")
            second = await client.responses.create(
                model="chat", input="And?", previous_response_id=first.id
            )
            assert second.output_text == "Hello from UK South, turn 2. You said: And?"
            assert (await client.responses.retrieve(first.id)).id == first.id

    in_world(body)


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")  # the SDK, of translations
def test_the_sdk_parses_all_of_it():
    async def test(client):
        made = await client.images.generate(**PICTURE, n=2)
        type(made).model_validate(made.to_dict())
        assert made.usage.output_tokens == 2 * 1056
        edited = await client.images.edit(
            model="image", prompt="A", image=[("a.png", b"a"), ("b.png", b"b")], n=1
        )
        assert edited.usage.input_tokens_details.image_tokens == 170
        told = []
        for events in (
            await client.images.generate(**PICTURE, stream=True, partial_images=1),
            await client.images.edit(model="image", prompt="A", image=b"a", stream=True),
            await client.audio.transcriptions.create(
                model="scribe", file=("a.wav", SOUND), stream=True
            ),
        ):
            async for each in events:
                type(each).model_validate(each.to_dict())
                told.append(type(each).__name__)
        assert told[:3] == [
            "ImageGenPartialImageEvent",
            "ImageGenCompletedEvent",
            "ImageEditCompletedEvent",
        ]
        assert set(told[3:-1]) == {"TranscriptionTextDeltaEvent"}
        assert told[-1] == "TranscriptionTextDoneEvent"
        for api in (client.audio.transcriptions, client.audio.translations):
            ask = {"model": "whisper", "file": ("a.wav", SOUND)}
            assert (await api.create(**ask)).text == SAID
            assert SAID in await api.create(**ask, response_format="srt")
            verbose = await api.create(**ask, response_format="verbose_json")
            type(verbose).model_validate(verbose.to_dict())
            assert verbose.segments[0].text == SAID
        async with client.audio.speech.with_streaming_response.create(**SAY) as speech:
            data = b"".join([part async for part in speech.iter_bytes()])
        assert data.startswith(b"\xff\xfb")

    by_sdk(test)
