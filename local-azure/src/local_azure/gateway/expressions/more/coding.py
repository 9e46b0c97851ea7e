"""What is made up, hashed, encoded and escaped."""

import hmac
import html
import random
import uuid
from hashlib import sha256
from typing import Final
from urllib.parse import quote, quote_plus, unquote, unquote_plus

from local_azure.gateway.exchange import Url
from local_azure.gateway.expressions.bounds import EvaluationError, bounded
from local_azure.gateway.expressions.tables import Library, attribute, names, parsing
from local_azure.gateway.expressions.text import format_value
from local_azure.gateway.expressions.types import method
from local_azure.gateway.expressions.values import Guid


def _next(chance: random.Random, low: int, below: int) -> int:
    if low > below:
        raise EvaluationError("'minValue' cannot be greater than maxValue.")
    return low if low == below else chance.randrange(low, below)


def _new_uri(text: str) -> Url:
    try:
        return Url.parse(text)
    except ValueError:
        raise EvaluationError(
            "Invalid URI: The format of the URI could not be determined."
        ) from None


def _parse_guid(text: str) -> Guid:
    try:
        return Guid(uuid.UUID(text))
    except ValueError:
        raise EvaluationError("Unrecognized Guid format.") from None


CODING: Final = Library(
    properties={
        "Uri": {
            "AbsolutePath": ("string", lambda url: url.path or "/"),
            "AbsoluteUri": ("string", str),
            "Host": attribute("host", "string"),
            "PathAndQuery": (
                "string",
                lambda url: (url.path or "/") + (f"?{url.query}" if url.query else ""),
            ),
            "Port": attribute("port", "int"),
            "Query": ("string", lambda url: f"?{url.query}" if url.query else ""),
            "Scheme": attribute("scheme", "string"),
        },
    },
    methods={
        "Uri": {"ToString": method("", "string", str)},
        "Guid": {
            "ToByteArray": method("", "byte[]", lambda value: uuid.UUID(value).bytes_le),
            "ToString": method(
                "[string]", "string", lambda value, form="D": format_value(value, form)
            ),
        },
        "Encoding": {
            "GetBytes": method("string", "byte[]", lambda _, text: text.encode(errors="replace")),
            "GetString": method("byte[]", "string", lambda _, data: data.decode(errors="replace")),
        },
        "SHA256": {
            "ComputeHash": method("byte[]", "byte[]", lambda _, data: sha256(data).digest())
        },
        "HMACSHA256": {
            "ComputeHash": method(
                "byte[]", "byte[]", lambda key, data: hmac.digest(key, data, sha256)
            )
        },
        "Random": {
            "Next": (
                method("", "int", lambda chance: chance.randrange(2**31 - 1)),
                method("int", "int", lambda chance, below: _next(chance, 0, below)),
                method("int, int", "int", _next),
            ),
            "NextDouble": method("", "double", random.Random.random),
        },
    },
    static_properties={
        "Guid": {"Empty": ("Guid", lambda: Guid(uuid.UUID(int=0)))},
        "Encoding": names("Encoding", "ASCII", "UTF8"),
    },
    statics={
        "Guid": {
            **parsing("Guid", _parse_guid, Guid(uuid.UUID(int=0))),
            "NewGuid": method("", "Guid", lambda: Guid(uuid.uuid4())),
        },
        "Uri": {
            "EscapeDataString": method(
                "string", "string", lambda text: bounded(quote(text, safe="-._~", errors="replace"))
            ),
            "UnescapeDataString": method("string", "string", unquote),
        },
        "WebUtility": {
            "HtmlDecode": method("string?", "string", lambda text: html.unescape(text or "")),
            "HtmlEncode": method(
                "string?", "string", lambda text: bounded(html.escape(text or ""))
            ),
            "UrlDecode": method("string?", "string", lambda text: unquote_plus(text or "")),
            "UrlEncode": method(
                "string?",
                "string",
                lambda text: bounded(quote_plus(text or "", safe="-_.!*()", errors="replace")),
            ),
        },
        "SHA256": {"Create": method("", "SHA256", lambda: sha256)},
        "BitConverter": {
            "ToString": method("byte[]", "string", lambda data: bounded(data.hex("-").upper()))
        },
    },
    constructors={
        "Random": (
            method("", "Random", random.Random),
            method("int", "Random", random.Random),
        ),
        "Uri": method("string", "Uri", _new_uri),
        "Guid": method("string", "Guid", _parse_guid),
        "HMACSHA256": method("byte[]", "HMACSHA256", lambda key: key),
    },
)
