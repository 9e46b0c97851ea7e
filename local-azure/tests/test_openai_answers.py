"""What a region answers to requests that ask for more than text, and what it refuses by name."""

import json

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_azure.openai_region.answers import (
    complete,
    completion_body,
    completion_chunks,
    read_chat,
    read_embeddings,
)
from local_azure.openai_region.errors import ApiError
from local_azure.openai_region.structured import SchemaError, fitting

MODEL, CLASSIC, LATER = "gpt-5-mini", "gpt-4o", "gpt-5.1"
ENVELOPE = {"id": "chatcmpl-1", "created": 1, "model": "m"}
USER = {"role": "user", "content": "Where?"}
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {
                "place": {"type": "string", "maxLength": 8},
                "days": {"type": "integer", "minimum": 3},
                "unit": {"enum": ["C", "F"]},
            },
            "required": ["place", "days"],
        },
    },
}
CLOCK = {"type": "function", "function": {"name": "clock"}}
CALL = {"role": "assistant", "tool_calls": [{"id": "c1", "type": "function", "function": {}}]}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "12"}


def asked(*messages, model=CLASSIC, **more):
    return complete(read_chat({"messages": list(messages) or [USER], **more}, model), "UK South")


def choice(*messages, **more):
    return completion_body(asked(*messages, **more), ENVELOPE)["choices"][0]


def structure(schema):
    return {"type": "json_schema", "json_schema": {"name": "s", "strict": True, "schema": schema}}


# --- structures --------------------------------------------------------------------------------

TREE = {
    "type": "object",
    "properties": {
        "value": {"type": "number", "exclusiveMinimum": 0, "multipleOf": 0.5},
        "children": {"type": "array", "items": {"$ref": "#"}},
        "next": {"anyOf": [{"$ref": "#/$defs/link"}, {"type": "null"}]},
    },
    "required": ["value", "next"],
    "additionalProperties": False,
    "$defs": {
        "link": {
            "type": "object",
            "properties": {"next": {"anyOf": [{"$ref": "#/$defs/link"}, {"type": "null"}]}},
            "required": ["next"],
        }
    },
}
SCHEMAS = [
    TREE,
    WEATHER["function"]["parameters"],
    {"type": "object", "properties": {"at": {"type": "string", "format": "date-time"}}},
    {"type": "object", "properties": {"p": {"type": ["string", "null"], "minLength": 40}}},
    {"type": "object", "properties": {"l": {"type": "array", "minItems": 3, "maxItems": 3}}},
    {"type": "object", "properties": {"c": {"const": 7}, "b": {"type": "boolean"}}},
    {"type": "object", "properties": {"n": {"type": "integer", "exclusiveMaximum": -2.5}}},
    {"type": "object", "properties": {"n": {"type": "number", "minimum": 0.2, "maximum": 0.3}}},
]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_structure_fits_its_schema(schema):
    answer = choice(response_format=structure(schema))
    jsonschema.validate(json.loads(answer["message"]["content"]), schema)
    assert answer["finish_reason"] == "stop"


_LENGTHS, _LOWS, _SPANS = st.integers(0, 50), st.integers(-99, 99), st.integers(1, 9)
_LEAVES = st.one_of(
    st.sampled_from(({"type": "boolean"}, {"type": "null"}, {"type": "integer"}, {})),
    st.builds(
        lambda n, more: {"type": "string", "minLength": n, "maxLength": n + more},
        _LENGTHS,
        _LENGTHS,
    ),
    st.builds(
        lambda n, more: {"type": "integer", "minimum": n, "maximum": n + more}, _LOWS, _SPANS
    ),
    st.builds(
        lambda n, more: {"type": "number", "exclusiveMinimum": n, "exclusiveMaximum": n + more},
        _LOWS,
        _SPANS,
    ),
    st.builds(lambda values: {"enum": values}, st.lists(st.integers() | st.text(), min_size=1)),
)
_SCHEMAS = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda of: {"type": "array", "items": of}, inner),
        st.builds(lambda some: {"anyOf": some}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(
            lambda some: {"type": "object", "properties": some, "required": sorted(some)},
            st.dictionaries(st.text(max_size=5), inner, max_size=3),
        ),
    ),
    max_leaves=8,
)


@given(_SCHEMAS)
def test_whatever_is_made_fits(schema):
    try:
        value = fitting(schema, "Hello from UK South.")
    except SchemaError as error:
        assert "nested too deeply" in str(error)
    else:
        jsonschema.validate(value, schema)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ("type", "properties", "items", "enum", "anyOf", "$ref", "required", "a")
            )
            | st.sampled_from(
                ("minimum", "maxItems", "minItems", "minLength", "format", "multipleOf")
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@given(_JSON)
def test_what_is_no_schema_is_refused_and_breaks_nothing(schema):
    try:
        json.dumps(fitting(schema, "text"))
    except SchemaError as error:
        assert str(error)


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ({"type": "string", "pattern": "a+"}, "'pattern' is not known to the local Azure"),
        ({"type": "string", "format": "iban"}, 'the format "iban" is not known to the local'),
        ({"$ref": "https://example.com/s.json"}, "leads out of it"),
        ({"$ref": "#/$defs/none"}, "leads nowhere"),
        ({"type": "file"}, 'the type "file" is none of JSON Schema'),
        ({"type": "integer", "minimum": 2.1, "maximum": 2.9}, "no number within its bounds"),
        ({"type": "array", "minItems": 10**9}, "more than 1000 values"),
        ({"type": "object", "properties": {"p": {"$ref": "#"}}, "required": ["p"]}, "holds itself"),
        ({"type": "object", "required": ["p"]}, '"p" is required and no property'),
    ],
)  # fmt: skip
def test_what_no_structure_is_made_for_is_refused_by_name(schema, problem):
    with pytest.raises(SchemaError) as refused:
        fitting(schema, "text")
    assert problem in str(refused.value)


def test_a_json_object_is_one_and_has_to_be_asked_for_in_words():
    wanted = {"type": "json_object"}
    answer = choice({"role": "system", "content": "Answer in JSON."}, USER, response_format=wanted)
    assert json.loads(answer["message"]["content"]) == {"answer": "Hello from UK South."}
    with pytest.raises(ApiError) as refused:
        asked(response_format=wanted)
    assert "must contain the word 'json'" in refused.value.body["error"]["message"]
    assert choice(response_format={"type": "text"})["message"]["content"].startswith("Hello")


# --- tools -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tool_choice", "name", "reason"),
    [
        (None, "weather", "tool_calls"),
        ("auto", "weather", "tool_calls"),
        ("required", "weather", "tool_calls"),
        ({"type": "function", "function": {"name": "clock"}}, "clock", "stop"),
    ],
)
def test_a_tool_is_called_with_arguments_that_fit(tool_choice, name, reason):
    answer = choice(tools=[WEATHER, CLOCK], tool_choice=tool_choice)
    [call] = answer["message"]["tool_calls"]
    assert (answer["message"]["content"], answer["finish_reason"]) == (None, reason)
    assert (call["type"], call["function"]["name"]) == ("function", name)
    arguments = json.loads(call["function"]["arguments"])
    assert arguments == ({} if name == "clock" else {"place": "Hello fr", "days": 3, "unit": "C"})
    assert choice(tools=[WEATHER, CLOCK], tool_choice=tool_choice) == answer


def test_a_tool_s_result_is_answered_and_none_is_called_where_none_may_be():
    said = choice(USER, CALL, RESULT, tools=[WEATHER])
    assert said["message"]["content"] == "Hello from UK South. You said: 12"
    assert "tool_calls" not in choice(tools=[WEATHER], tool_choice="none")["message"]
    again = choice(USER, CALL, RESULT, tools=[WEATHER], tool_choice="required")
    assert again["finish_reason"] == "tool_calls"


def test_a_streamed_call_says_the_same():
    whole = asked(tools=[WEATHER])
    chunks = list(completion_chunks(whole, ENVELOPE, include_usage=True))
    deltas = [each["choices"][0]["delta"] for each in chunks if each["choices"]]
    first = deltas[0]["tool_calls"][0]
    pieces = [delta["tool_calls"][0] for delta in deltas[1:-1]]
    arguments = "".join(piece["function"]["arguments"] for piece in pieces)
    [call] = completion_body(whole, ENVELOPE)["choices"][0]["message"]["tool_calls"]
    first["function"]["arguments"] = arguments
    assert first == {"index": 0, **call}
    assert chunks[-2]["choices"][0]["finish_reason"] == "tool_calls"
    # All chunks have the field where it is asked for: the `openai` SDK of other languages reads it.
    assert [each["usage"] for each in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1]["usage"]["total_tokens"] > 0
    assert "usage" not in next(completion_chunks(whole, ENVELOPE, include_usage=False))


# --- other parameters --------------------------------------------------------------------------


def test_logprobs_tell_of_each_token():
    answer = choice(logprobs=True, top_logprobs=2)
    told = answer["logprobs"]["content"]
    assert "".join(each["token"] for each in told) == answer["message"]["content"]
    assert bytes(told[0]["bytes"]).decode() == told[0]["token"]
    assert [len(each["top_logprobs"]) for each in told] == [2] * len(told)
    assert told[0]["top_logprobs"][0]["token"] == told[0]["token"]
    assert choice(logprobs=True)["logprobs"]["content"][0]["top_logprobs"] == []
    assert choice()["logprobs"] is None
    chunks = completion_chunks(asked(logprobs=True), ENVELOPE, include_usage=False)
    streamed = [each["choices"][0] for each in chunks if each["choices"]]
    tokens = [each["logprobs"]["content"][0]["token"] for each in streamed if each["logprobs"]]
    assert tokens == [each["token"] for each in told]


def test_an_answer_ends_where_it_is_told_to():
    assert choice(stop=[" You", "UK"])["message"]["content"] == "Hello from "
    assert choice(stop="Nowhere")["message"]["content"].endswith("Where?")


TAKEN = {
    "temperature": 2,
    "top_p": 0.1,
    "presence_penalty": -2,
    "frequency_penalty": 2,
    "logit_bias": {"50256": -100},
    "user": "me",
    "seed": 7,
    "store": False,
    "metadata": {},
    "reasoning_effort": "low",
    "verbosity": "low",
    "modalities": ["text"],
    "service_tier": "auto",
    "top_logprobs": None,
}


def test_what_chooses_the_text_is_taken_within_its_range():
    assert choice(**TAKEN)["message"] == choice()["message"]
    assert choice(model=LATER, temperature=0.2)["finish_reason"] == "stop"
    assert choice(model=MODEL, temperature=1, presence_penalty=0)["finish_reason"] == "stop"


@pytest.mark.parametrize(
    ("more", "parameter", "code"),
    [
        ({"temprature": 1}, None, None),
        ({"temperature": 2.1}, "temperature", "decimal_above_max_value"),
        ({"temperature": -1}, "temperature", "decimal_below_min_value"),
        ({"temperature": "1"}, "temperature", "invalid_type"),
        ({"temperature": True}, "temperature", "invalid_type"),
        ({"top_p": 1.5}, "top_p", "decimal_above_max_value"),
        ({"presence_penalty": 3}, "presence_penalty", "decimal_above_max_value"),
        ({"logit_bias": {"1": 101}}, "logit_bias.1", "decimal_above_max_value"),
        ({"logit_bias": []}, "logit_bias", "invalid_type"),
        ({"stop": ["a"] * 5}, "stop", None),
        ({"stop": 1}, "stop", None),
        ({"seed": 1.5}, "seed", "invalid_type"),
        ({"seed": True}, "seed", "invalid_type"),
        ({"user": 1}, "user", "invalid_type"),
        ({"logprobs": 1}, "logprobs", "invalid_type"),
        ({"top_logprobs": 2}, "top_logprobs", None),
        ({"top_logprobs": 21, "logprobs": True}, "top_logprobs", None),
        ({"reasoning_effort": "max"}, "reasoning_effort", "invalid_value"),
        ({"stream_options": {"include_usage": True}}, "stream_options", None),
        ({"response_format": "json"}, "response_format.type", "invalid_value"),
        ({"response_format": {"type": "xml"}}, "response_format.type", "invalid_value"),
        (
            {"response_format": {"type": "json_schema"}},
            "response_format.json_schema",
            "missing_required_parameter",
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "s"}}},
            "response_format.json_schema.schema",
            "missing_required_parameter",
        ),
        ({"response_format": structure({"type": "array"})}, "response_format", None),
        (
            {"response_format": structure({"properties": {"p": {"pattern": "a"}}})},
            "response_format",
            "not_supported_by_local_azure",
        ),
        ({"tools": []}, "tools", None),
        ({"tools": [{"type": "function"}]}, "tools[0].function", "missing_required_parameter"),
        (
            {"tools": [{"type": "function", "function": {"name": "a b"}}]},
            "tools[0].function.name",
            "invalid_value",
        ),
        ({"tools": [{"type": "custom"}]}, "tools[0].type", "not_supported_by_local_azure"),
        ({"tools": [5]}, "tools[0]", None),
        ({"tool_choice": "auto"}, "tool_choice", None),
        ({"tools": [CLOCK], "tool_choice": "any"}, "tool_choice", "invalid_value"),
        (
            {"tools": [CLOCK], "tool_choice": {"type": "function", "function": {"name": "x"}}},
            "tool_choice",
            None,
        ),
        *(
            ({name: value}, name, "not_supported_by_local_azure")
            for name, value in (
                ("data_sources", [{}]),
                ("functions", [{}]),
                ("modalities", ["text", "audio"]),
                ("audio", {"voice": "alloy"}),
                ("web_search_options", {}),
            )
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_a_400_that_names_it(more, parameter, code):
    with pytest.raises(ApiError) as refused:
        asked(**more)
    error = refused.value.body["error"]
    assert (refused.value.status, error["type"]) == (400, "invalid_request_error")
    assert (error["param"], error["code"]) == (parameter, code)
    if code == "not_supported_by_local_azure":
        assert "The local Azure does not support" in error["message"]


def test_an_unknown_argument_is_named():
    with pytest.raises(ApiError) as refused:
        asked(temprature=1, max_token=2)
    message = refused.value.body["error"]["message"]
    assert message == "Unrecognized request arguments supplied: temprature, max_token"
    with pytest.raises(ApiError) as refused:
        read_embeddings({"input": "a", "dimension": 8}, "text-embedding-3-small")
    message = refused.value.body["error"]["message"]
    assert message == "Unrecognized request argument supplied: dimension"


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"temperature": 0.2}, "unsupported_value"),
        ({"top_p": 0.5}, "unsupported_value"),
        ({"frequency_penalty": 1}, "unsupported_value"),
        ({"logprobs": True}, "unsupported_parameter"),
        ({"logit_bias": {"1": 1}}, "unsupported_parameter"),
    ],
)
def test_a_model_that_always_reasons_takes_less(more, code):
    for model in (MODEL, "o3-mini"):
        with pytest.raises(ApiError) as refused:
            asked(model=model, **more)
        assert refused.value.body["error"]["code"] == code
        assert refused.value.body["error"]["param"] == next(iter(more))


@pytest.mark.parametrize(
    ("messages", "parameter"),
    [
        ([{"role": "bot", "content": "Hi"}], "messages[0].role"),
        ([USER, RESULT], "messages[1].role"),
        ([USER, CALL, USER], "messages"),
        ([USER, CALL], "messages"),
        ([USER, {**CALL, "tool_calls": [5]}], "messages[1].tool_calls"),
        ([{"role": "user", "content": [{"type": "txt"}]}], "messages[0].content[0].type"),
        ([{"role": "user", "content": [{"type": "text"}]}], "messages[0].content[0]"),
        ([{"role": "user", "content": [{"type": "file"}]}], "messages[0].content[0]"),
    ],
)
def test_messages_that_cannot_be(messages, parameter):
    with pytest.raises(ApiError) as refused:
        asked(*messages)
    assert refused.value.body["error"]["param"] == parameter


@pytest.mark.parametrize("role", ["system", "developer", "user", "assistant"])
def test_every_role_of_a_text_is_taken(role):
    assert choice({"role": role, "content": "Hi"})["message"]["content"].endswith("Hi")
