"""The `openai` SDK asks for responses, images and audio through four gateway units, unchanged."""

import asyncio
import base64
import io
import json
import time
import wave
from collections.abc import Iterator
from types import SimpleNamespace

import pydantic
import pytest
import yaml
from shell import ROOT, Shell

MODELS = {
    "chat": ("gpt-5.4-mini", "2026-03-17"),
    "image": ("gpt-image-2", "2026-04-21"),
    "hear": ("whisper", "001"),
    "write": ("gpt-4o-mini-transcribe", "2025-12-15"),
    "speak": ("gpt-4o-mini-tts", "2025-12-15"),
}
REGIONS = {"foundry1", "foundry2", "foundry3"}
ADD = {
    "type": "function",
    "name": "add",
    "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory) -> Iterator[SimpleNamespace]:
    """The outputs of a stack of several models, on units that share nothing."""
    folder = tmp_path_factory.mktemp("responses")
    config = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text(encoding="utf-8"))
    config["config"]["openai-gateway:models"] = [
        {"name": name, "model": model, "version": version, "sku": "GlobalStandard", "capacity": 900}
        for name, (model, version) in MODELS.items()
    ]
    (folder / "stack.yaml").write_text(yaml.safe_dump(config))
    shell = Shell(folder / "state")
    with shell.serving("--provisioning", "0", "--gateway-instances", "4"):
        up = shell.local_azure("up", "--config-file", str(folder / "stack.yaml"))
        assert up.returncode == 0, up.stdout + up.stderr
        outputs = shell.local_azure("output", "--show-secrets").stdout
        yield SimpleNamespace(**json.loads(outputs))


def made(openai, stack, *, form="v1", awaited=False):
    """Make a client as applications do; it retries nothing."""
    key = stack.subscription_key
    if form == "v1":
        kind = openai.AsyncOpenAI if awaited else openai.OpenAI
        url = f"{stack.inference_url}/openai/v1/"
        return kind(base_url=url, api_key=key, default_headers={"api-key": key}, max_retries=0)
    kind = openai.AsyncAzureOpenAI if awaited else openai.AzureOpenAI
    version = "2025-04-01-preview"
    return kind(azure_endpoint=stack.inference_url, api_key=key, api_version=version, max_retries=0)


@pytest.fixture(params=["v1", "dated"])
def client(request, openai, stack):
    with made(openai, stack, form=request.param) as client:
        yield client


def asked(client, **body) -> tuple[str, object]:
    """Return the region that answered, and its response."""
    raw = client.responses.with_raw_response.create(
        **{"model": "chat", "input": "Where are you?", **body}
    )
    return raw.headers["x-backend-host"].partition("-")[0], raw.parse()


def test_conversations_of_three_turns_hold_and_new_ones_are_spread(client):
    begun_in = []
    for _ in range(9):
        region, response = asked(client)
        begun_in.append(region)
        for turn in (2, 3):
            at, response = asked(client, previous_response_id=response.id)
            assert at == region
            assert f"turn {turn}." in response.output_text
        items = client.responses.input_items.list(response.id)
        assert [item.content[0].text for item in items] == ["Where are you?"]
    assert set(begun_in) == REGIONS


def test_a_response_is_retrieved_and_deleted_wherever_it_is(client, openai):
    for _ in range(3):
        _, response = asked(client)
        assert client.responses.retrieve(response.id).output_text == response.output_text
        client.responses.delete(response.id)
        with pytest.raises(openai.NotFoundError, match=f"'{response.id}' not found"):
            client.responses.retrieve(response.id)
        with pytest.raises(openai.BadRequestError) as refused:
            asked(client, previous_response_id=response.id)
        assert refused.value.code == "previous_response_not_found"


def test_a_stream_has_its_events_and_is_continued(client):
    for _ in range(3):
        events = list(client.responses.create(model="chat", input="Hi", stream=True))
        kinds = [event.type for event in events]
        assert (kinds[0], kinds[-1]) == ("response.created", "response.completed")
        assert kinds.count("response.output_text.delta") > 1
        with client.responses.stream(
            model="chat", input="And now?", previous_response_id=events[-1].response.id
        ) as stream:
            assert any(event.type == "response.output_text.delta" for event in stream)
            assert "turn 2." in stream.get_final_response().output_text


def test_work_in_the_background_is_polled_and_cancelled(client):
    for _ in range(3):
        _, begun = asked(client, background=True)
        assert begun.status == "queued"
        assert client.responses.cancel(begun.id).status == "cancelled"
        assert client.responses.retrieve(begun.id).status == "cancelled"
    _, begun = asked(client, background=True)
    while begun.status in ("queued", "in_progress"):
        time.sleep(0.2)
        begun = client.responses.retrieve(begun.id)
    assert (begun.status, begun.output_text[:10]) == ("completed", "Hello from")


def test_a_stream_in_the_background_is_taken_up_where_it_broke_off(client):
    for _ in range(3):
        stream = client.responses.create(model="chat", input="Hi", background=True, stream=True)
        events = [next(stream) for _ in range(3)]
        stream.close()
        rest = client.responses.retrieve(
            events[0].response.id, stream=True, starting_after=events[-1].sequence_number
        )
        numbers = [event.sequence_number for event in rest]
        assert numbers == [*range(events[-1].sequence_number + 1, numbers[-1] + 1)]


def test_a_history_that_the_client_keeps_goes_where_its_thoughts_are(client):
    for _ in range(3):
        region, response = asked(client, tools=[ADD], tool_choice="required")
        call = response.output[-1]
        history = [
            {"role": "user", "content": "Where are you?"},
            *(item.model_dump(exclude_none=True) for item in response.output),
            {"type": "function_call_output", "call_id": call.call_id, "output": "3"},
        ]
        at, _ = asked(client, input=history, tools=[ADD])
        assert at == region


def test_what_refers_to_items_goes_where_they_are(client):
    for _ in range(4):
        region, response = asked(client)
        reference = {"type": "item_reference", "id": response.output[-1].id}
        at, _ = asked(client, input=[reference, {"role": "user", "content": "Again"}])
        assert at == region
        reasoned = {"store": False, "include": ["reasoning.encrypted_content"]}
        region, response = asked(client, **reasoned, reasoning={"effort": "low"})
        (thought,) = [item for item in response.output if item.type == "reasoning"]
        assert thought.encrypted_content
        given = [thought.model_dump(exclude_none=True), {"role": "user", "content": "Again"}]
        at, _ = asked(client, input=given, **reasoned)
        assert at == region


def test_a_tool_is_called_and_answered_in_the_next_turn(client):
    for _ in range(3):
        _, response = asked(client, tools=[ADD], tool_choice="required")
        (call,) = [item for item in response.output if item.type == "function_call"]
        assert (call.name, set(json.loads(call.arguments))) == ("add", {"a"})
        output = {"type": "function_call_output", "call_id": call.call_id, "output": "3"}
        _, answer = asked(client, input=[output], previous_response_id=response.id, tools=[ADD])
        assert answer.output_text


def test_a_structure_is_parsed(client):
    class Place(pydantic.BaseModel):
        city: str
        population: int

    parsed = client.responses.parse(model="chat", input="A place?", text_format=Place)
    assert isinstance(parsed.output_parsed, Place)


def sound() -> io.BytesIO:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(8000)
        writer.writeframes(b"\0\0" * 8000)
    file.seek(0)
    file.name = "a.wav"
    return file


def test_images_are_drawn_and_edited(client):
    drawn = client.images.generate(model="image", prompt="A cat", size="1024x1024")
    assert drawn.data[0].b64_json
    picture = io.BytesIO(base64.b64decode(drawn.data[0].b64_json))
    picture.name = "cat.png"
    edited = client.images.edit(model="image", image=picture, prompt="A dog")
    assert edited.data[0].b64_json


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")  # translations, by the SDK
def test_audio_is_written_down_translated_and_spoken(client):
    assert client.audio.transcriptions.create(model="hear", file=sound()).text
    assert client.audio.translations.create(model="hear", file=sound()).text
    spoken = client.audio.speech.create(model="speak", voice="alloy", input="Hello")
    assert spoken.content


def test_pictures_and_transcripts_pass_as_they_come(client):
    pictures = client.images.generate(model="image", prompt="A cat", stream=True, partial_images=1)
    kinds = [event.type for event in pictures]
    assert kinds == ["image_generation.partial_image", "image_generation.completed"]
    words = [
        event.type
        for event in client.audio.transcriptions.create(model="write", file=sound(), stream=True)
    ]
    assert words.count("transcript.text.delta") > 1
    assert words[-1] == "transcript.text.done"


def test_a_model_is_found_by_its_name(client, openai):
    name = client.models.list().data[0].id
    assert client.models.retrieve(name).id == name
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-none")


@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.files.list(),
        lambda client: client.files.create(file=sound(), purpose="assistants"),
        lambda client: client.batches.list(),
        lambda client: client.vector_stores.create(),
        lambda client: client.fine_tuning.jobs.list(),
        lambda client: client.conversations.create(),
        lambda client: client.realtime.client_secrets.create(),
        lambda client: client.responses.input_tokens.count(model="chat", input="Hi"),
    ],
)
def test_what_belongs_to_one_account_is_refused_with_the_reason(client, openai, ask):
    with pytest.raises(openai.NotFoundError) as refused:
        ask(client)
    assert "use the endpoint of one account" in refused.value.message


@pytest.mark.parametrize("form", ["v1", "dated"])
def test_awaited_it_is_the_same(openai, stack, form):
    async def conversation(client):
        create = client.responses.with_raw_response.create
        raw = await create(model="chat", input="Where are you?")
        region, response = raw.headers["x-backend-host"], raw.parse()
        for turn in (2, 3):
            raw = await create(model="chat", input="And now?", previous_response_id=response.id)
            response = raw.parse()
            assert raw.headers["x-backend-host"] == region
            assert f"turn {turn}." in response.output_text
        assert (await client.responses.retrieve(response.id)).id == response.id
        stream = await client.responses.create(
            model="chat", input="Bye", previous_response_id=response.id, stream=True
        )
        assert [event.type async for event in stream][-1] == "response.completed"
        background = await client.responses.create(model="chat", input="Hi", background=True)
        assert (await client.responses.cancel(background.id)).status == "cancelled"
        assert [item async for item in client.responses.input_items.list(response.id)]
        await client.responses.delete(response.id)
        assert (await client.images.generate(model="image", prompt="A cat")).data
        assert (await client.audio.transcriptions.create(model="hear", file=sound())).text
        return region.partition("-")[0]

    async def run():
        async with made(openai, stack, form=form, awaited=True) as client:
            return await asyncio.gather(*(conversation(client) for _ in range(9)))

    assert set(asyncio.run(run())) == REGIONS
