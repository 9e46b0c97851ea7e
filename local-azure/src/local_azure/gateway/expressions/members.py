"""What an expression may name of `context` and of any other value: tables by static type.

Nothing else can be reached: a name is looked up here, when the policy is compiled. API Management
documentation, "Policy expressions", lists what `context` has and which .NET types a policy may use;
the tables have what policies use of it.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any, Final
from urllib.parse import parse_qs

from local_azure.gateway.exchange import Request, Response, Url
from local_azure.gateway.expressions.bounds import MAX_ITEMS, EvaluationError
from local_azure.gateway.expressions.json_values import (
    JArray,
    JObject,
    JProperty,
    JToken,
    child,
    copy,
    element,
    json_type,
    parse_json_as,
    properties_of,
    property_of,
    put_child,
    remove_at,
    select,
)
from local_azure.gateway.expressions.more import MORE
from local_azure.gateway.expressions.queries import edge, tokens
from local_azure.gateway.expressions.tables import attribute, entry, set_element, try_entry
from local_azure.gateway.expressions.text import (
    as_basic,
    as_jwt,
    contains,
    ends,
    equals,
    format_value,
    hash_code,
    index_of,
    insert,
    pad,
    remove,
    replace,
    split,
    split_into,
    starts,
    substring,
)
from local_azure.gateway.expressions.types import Method, Overloads, Run, element_type, method
from local_azure.gateway.expressions.values import (
    Guid,
    from_token,
    is_of,
    serialize,
    to_string,
    unbox,
    value_of,
)


def _headers_get(headers: Any, name: str, default: str | None = None) -> str | None:
    return ",".join(headers.getall(name)) if name in headers else default


def _values_get(values: Mapping[str, Any], name: str, default: str | None = None) -> str | None:
    if name not in values:
        return default
    value = values[name]
    return value if isinstance(value, str) else ",".join(value)


def _body(message: Request | Response) -> Request | Response | None:
    """Return a message as its own body; null when it has none."""
    has_stream = isinstance(message, Response) and message.stream is not None
    return message if message.body or has_stream else None


def _take_body(message: Request | Response, *, keep: bool) -> bytes:
    # What a policy reads is buffered, kept or not; no `catch` of an expression sees the refusal.
    content = (
        message.buffered("policy-expression") if isinstance(message, Request) else message.whole()
    )
    if not keep:
        # `As<T>()` uses the body up unless it is told to preserve it.
        message.body = b""
    return content


def _body_as(message: Request | Response, kind: str, *, keep: bool) -> Any:
    content = _take_body(message, keep=keep)
    if kind == "byte[]":
        return content
    text = content.decode("utf-8-sig", errors="replace")
    if kind == "string":
        return text
    if not text.strip():
        return None
    return parse_json_as({"JObject": JObject, "JArray": JArray}.get(kind, JToken), text)


def _form(message: Request | Response, *, keep: bool) -> Mapping[str, list[str]]:
    text = _take_body(message, keep=keep).decode(errors="replace")
    try:
        return parse_qs(text, keep_blank_values=True, max_num_fields=MAX_ITEMS)
    except ValueError:
        raise EvaluationError(f"The form has more than {MAX_ITEMS} fields.") from None


def _service_url(api: Any) -> Url | None:
    try:
        return Url.parse(api.service_url or "")
    except ValueError:
        return None


def _nothing(_: Any) -> None:
    return None


PROPERTIES: Final[dict[str, dict[str, tuple[str, Run]]]] = {
    "Context": {
        "Api": attribute("api", "Api"),
        # Assumed: null until a request is forwarded to a named backend, then what the policy named.
        "Backend": attribute("backend", "Backend"),
        "Deployment": attribute("deployment", "Deployment"),
        "Elapsed": ("TimeSpan", lambda context: timedelta(seconds=context.elapsed)),
        "LastError": attribute("last_error", "LastError"),
        "Operation": attribute("operation", "Operation"),
        # Neither products nor users are deployed to the local Azure.
        "Product": ("Product", _nothing),
        "Request": attribute("request", "Request"),
        "RequestId": ("Guid", lambda context: Guid(context.request_id)),
        "Response": attribute("response", "Response"),
        "Subscription": attribute("subscription", "Subscription"),
        "Timestamp": ("DateTime", lambda _: datetime.now(UTC)),
        "Tracing": ("bool", lambda _: False),
        "User": ("User", _nothing),
        "Variables": attribute("variables", "Variables"),
    },
    "Request": {
        "Body": ("Body", _body),
        "Headers": attribute("headers", "Headers"),
        "IpAddress": attribute("ip_address", "string"),
        "MatchedParameters": attribute("parameters", "Values"),
        "Method": attribute("method", "string"),
        "OriginalUrl": attribute("original_url", "Url"),
        "Url": attribute("url", "Url"),
    },
    "Response": {
        "Body": ("Body", _body),
        "Headers": attribute("headers", "Headers"),
        "StatusCode": attribute("status", "int"),
        "StatusReason": ("string", lambda response: response.reason or ""),
    },
    "Url": {
        "Host": attribute("host", "string"),
        "Path": attribute("path", "string"),
        "Port": attribute("port", "int"),
        "Query": attribute("parameters", "Query"),
        "QueryString": ("string", lambda url: f"?{url.query}" if url.query else ""),
        "Scheme": attribute("scheme", "string"),
    },
    "LastError": {
        "Message": attribute("message", "string"),
        "Path": ("string", _nothing),
        "PolicyId": ("string", _nothing),
        "Reason": attribute("reason", "string"),
        "Scope": attribute("scope", "string"),
        "Section": attribute("section", "string"),
        "Source": attribute("source", "string"),
    },
    "Backend": {
        "AzureRegion": attribute("azure_region", "string"),
        "Id": attribute("name", "string"),
        "Type": attribute("type", "string"),
    },
    "Api": {
        "Id": attribute("id", "string"),
        "IsCurrentRevision": ("bool", lambda _: True),
        "Name": attribute("name", "string"),
        "Path": attribute("path", "string"),
        "Revision": ("string", lambda _: "1"),
        "ServiceUrl": ("Url", _service_url),
        "Version": ("string", _nothing),
    },
    "Operation": {
        "Id": attribute("id", "string"),
        "Method": attribute("method", "string"),
        "Name": attribute("name", "string"),
        "UrlTemplate": attribute("url_template", "string"),
    },
    "Product": {"Id": ("string", _nothing), "Name": ("string", _nothing)},
    "User": {
        "Email": ("string", _nothing),
        "FirstName": ("string", _nothing),
        "Id": ("string", _nothing),
        "LastName": ("string", _nothing),
    },
    "Subscription": {"Id": attribute("id", "string"), "Name": attribute("name", "string")},
    "Deployment": {
        "Gateway": ("Gateway", lambda _: "managed"),
        "Region": attribute("region", "string"),
        "ServiceName": attribute("service_name", "string"),
    },
    "Gateway": {"Id": ("string", str), "InstanceId": ("string", str)},
    "TimeSpan": {
        "Days": ("int", lambda value: int(value / timedelta(days=1))),
        "Minutes": ("int", lambda value: int(value / timedelta(minutes=1)) % 60),
        "Seconds": ("int", lambda value: int(value.total_seconds()) % 60),
        "TotalDays": ("double", lambda value: value / timedelta(days=1)),
        "TotalHours": ("double", lambda value: value / timedelta(hours=1)),
        "TotalMilliseconds": ("double", lambda value: value / timedelta(milliseconds=1)),
        "TotalMinutes": ("double", lambda value: value / timedelta(minutes=1)),
        "TotalSeconds": ("double", lambda value: value.total_seconds()),
    },
    "Query": {"Count": ("int", len)},
    "string": {"Length": ("int", len)},
    "[]": {"Length": ("int", len)},
    "JToken": {
        "First": ("JToken", lambda node: edge(node, 0)),
        "HasValues": ("bool", lambda node: any(True for _ in node.children())),
        "Last": ("JToken", lambda node: edge(node, -1)),
        "Type": ("JTokenType", json_type),
    },
    "JArray": {"Count": ("int", lambda array: len(array.items))},
    "JObject": {"Count": ("int", lambda made: len(made.items))},
    "JValue": {"Value": ("object", lambda node: node.value)},
    "JProperty": {
        "Name": attribute("name", "string"),
        "Value": attribute("value", "JToken"),
    },
    "Exception": {"Message": ("string", attrgetter("dotnet_message"))},
}


_COMPARED: Final = "string?, [StringComparison]"


METHODS: Final[dict[str, dict[str, Overloads]]] = {
    "Context": {"Trace": method("string", "void", lambda _context, _text: None)},
    "Headers": {
        "ContainsKey": method("string", "bool", lambda headers, name: name in headers),
        "GetValueOrDefault": method("string, [string?]", "string", _headers_get),
        "TryGetValue": method(
            "string, out string[]",
            "bool",
            lambda headers, name: (name in headers, headers.getall(name, None)),
        ),
    },
    "Query": {
        "ContainsKey": method("string", "bool", lambda values, name: name in values),
        "GetValueOrDefault": method("string, [string?]", "string", _values_get),
    },
    "Values": {
        "ContainsKey": method("string", "bool", lambda values, name: name in values),
        "GetValueOrDefault": method("string, [string?]", "string", _values_get),
    },
    "Variables": {
        "ContainsKey": method("string", "bool", lambda values, name: name in values),
    },
    "Body": {
        "AsFormUrlEncodedContent": method(
            "[bool preserveContent]", "Query", lambda body, keep=False: _form(body, keep=keep)
        ),
    },
    "Url": {"ToString": method("", "string", str)},
    "string": {
        "AsBasic": method("", "Basic", as_basic),
        "AsJwt": method("", "Jwt", as_jwt),
        "CompareTo": method(
            "string?", "int", lambda text, other: (text > (other or "")) - (text < (other or ""))
        ),
        "Contains": method("string, [StringComparison]", "bool", contains),
        "EndsWith": method("string, [StringComparison]", "bool", ends),
        "Equals": (method(_COMPARED, "bool", equals), method("object?", "bool", equals)),
        "IndexOf": (
            method("string, [int]", "int", index_of),
            method(
                "string, StringComparison",
                "int",
                lambda text, part, how: index_of(text, part, 0, how),
            ),
        ),
        "Insert": method("int, string", "string", insert),
        "LastIndexOf": method("string", "int", str.rfind),
        "PadLeft": method(
            "int, [string]",
            "string",
            lambda text, width, fill=" ": pad(text, width, fill, left=True),
        ),
        "PadRight": method(
            "int, [string]",
            "string",
            lambda text, width, fill=" ": pad(text, width, fill, left=False),
        ),
        "Remove": method("int, [int]", "string", remove),
        "Replace": method("string, string?", "string", replace),
        "Split": (
            method("string, [StringSplitOptions]", "string[]", split),
            method("string[], [StringSplitOptions]", "string[]", split),
            method("string, int, [StringSplitOptions]", "string[]", split_into),
            method("string[], int, [StringSplitOptions]", "string[]", split_into),
            method("string...", "string[]", lambda text, *at: split(text, at)),
        ),
        "StartsWith": method("string, [StringComparison]", "bool", starts),
        "Substring": method("int, [int]", "string", substring),
        "ToCharArray": method("", "string[]", list),
        "ToLower": method("", "string", str.lower),
        "ToLowerInvariant": method("", "string", str.lower),
        "ToUpper": method("", "string", str.upper),
        "ToUpperInvariant": method("", "string", str.upper),
        "Trim": method("string...", "string", lambda text, *at: text.strip("".join(at) or None)),
        "TrimEnd": method(
            "string...", "string", lambda text, *at: text.rstrip("".join(at) or None)
        ),
        "TrimStart": method(
            "string...", "string", lambda text, *at: text.lstrip("".join(at) or None)
        ),
        "TryParseBasic": method(
            "out Basic", "bool", lambda text: ((found := as_basic(text)) is not None, found)
        ),
        "TryParseJwt": method(
            "out Jwt", "bool", lambda text: ((found := as_jwt(text)) is not None, found)
        ),
    },
    "int": {
        "ToString": method("[string]", "string", lambda value, form="": format_value(value, form))
    },
    "long": {
        "ToString": method("[string]", "string", lambda value, form="": format_value(value, form))
    },
    "double": {
        "ToString": method("[string]", "string", lambda value, form="": format_value(value, form))
    },
    "TimeSpan": {"ToString": method("", "string", to_string)},
    "JToken": {
        "Children": method("", "IEnumerable<JToken>", tokens),
        "DeepClone": method("", "JToken", copy),
        "SelectToken": method("string", "JToken", select),
        "ToString": method(
            "[Formatting]",
            "string",
            lambda node, form="": serialize(node) if form == "None" else to_string(node),
        ),
    },
    "JArray": {
        "Add": method("JToken?", "void", JArray.add),
        "Clear": method("", "void", lambda array: array.items.clear()),
        "RemoveAt": method("int", "void", remove_at),
    },
    "JObject": {
        "Add": (
            method("string, JToken?", "void", lambda made, name, value: made.add(name, value)),
            method("JProperty", "void", lambda made, added: made.add(added.name, added.value)),
        ),
        "ContainsKey": method("string", "bool", lambda made, name: name in made.items),
        "GetValue": method("string", "JToken", child),
        "Properties": method("", "IEnumerable<JProperty>", properties_of),
        "Property": method("string", "JProperty", property_of),
        "Remove": method(
            "string", "bool", lambda made, name: made.items.pop(name, None) is not None
        ),
        "TryGetValue": method(
            "string, out JToken", "bool", lambda made, name: try_entry(made.items, name)
        ),
    },
    "JProperty": {"Remove": method("", "void", JProperty.remove)},
}


# What every value has.
OBJECT_METHODS: Final[dict[str, Method]] = {
    "Equals": method("object?", "bool", lambda value, other: value == other),
    "GetHashCode": method("", "int", hash_code),
    "ToString": method("", "string", to_string),
}


# type -> (type of the index, type of the result, what it does)
INDEXERS: Final[dict[str, tuple[str, str, Callable[[Any, Any], Any]]]] = {
    "Variables": ("string", "object", entry),
    "Headers": (
        "string",
        "string[]",
        lambda headers, name: headers.getall(name) if name in headers else entry({}, name),
    ),
    "Query": ("string", "string[]", entry),
    "Values": ("string", "string", entry),
    "[]": ("int", "T", element),
    "string": ("int", "string", element),
    "JObject": ("string", "JToken", child),
    "JArray": ("int", "JToken", child),
    "JToken": ("object", "JToken", child),
}


# type -> (type of the index, type of the value, what it does)
INDEX_SETTERS: Final[dict[str, tuple[str, str, Callable[[Any, Any, Any], None]]]] = {
    "[]": ("int", "T", set_element),
    "JObject": ("string", "JToken", put_child),
    "JArray": ("int", "JToken", put_child),
    "JToken": ("object", "JToken", put_child),
}


PROPERTY_SETTERS: Final[dict[str, dict[str, tuple[str, Callable[[Any, Any], None]]]]] = {
    "JProperty": {"Value": ("JToken", lambda each, value: each.put(value))},
}


def generic_method(owner: str, name: str, kind: str) -> Method | None:
    """Return `name<kind>` of a type; None when it has none."""
    match owner, name:
        case "Variables", "GetValueOrDefault":
            return None  # compiled by hand: a default of the type takes the place of null
        case "Body", "As" if kind in ("string", "JObject", "JArray", "JToken", "byte[]"):
            return method(
                "[bool preserveContent]",
                kind,
                lambda body, keep=False: _body_as(body, kind, keep=keep),
            )
        case (("JToken" | "JObject" | "JArray" | "JValue"), ("Value" | "ToObject")):
            return method(
                "[object]", kind.removesuffix("?"), lambda node, *key: value_of(node, key, kind)
            )
        case ("JObject", "Children") if kind == "JProperty":
            return method("", "IEnumerable<JProperty>", properties_of)
        case (("JToken" | "JArray"), "Values"):
            return method(
                "",
                f"IEnumerable<{kind}>",
                lambda node: [from_token(each, kind) for each in node.children()],
            )
        case _, ("Cast" | "OfType") if element_type(owner) and owner != "string":
            return method(
                "",
                f"IEnumerable<{kind}>",
                lambda values: [
                    unbox(each, kind) if name == "Cast" else each
                    for each in tokens(values)
                    if name == "Cast" or is_of(each, kind)
                ],
            )
    return None


for _library in MORE:
    PROPERTIES.update(_library.properties)
    METHODS.update(_library.methods)
    INDEXERS.update(_library.indexers)
    INDEX_SETTERS.update(_library.index_setters)
