"""What a request says in `multipart/form-data`: fields as JSON would have them, and files."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import BodyPartReader, MultipartReader, StreamReader, web

from local_azure.openai_region import errors

# Those that are no text.
_NUMBERS: Final = ("n", "output_compression", "partial_images", "stream", "temperature")


@dataclass(frozen=True, kw_only=True)
class File:
    """A file that was sent: its name, and its size in bytes."""

    name: str
    size: int


@dataclass(frozen=True, kw_only=True)
class Form:
    """Fields and files by their names; a name such as `image[]` stands for a list, as `image`."""

    fields: Mapping[str, Any]
    files: Mapping[str, Sequence[File]]


async def read(request: web.Request) -> Form:
    """Read a form. Raises ApiError."""
    if request.content_type != "multipart/form-data":
        raise errors.invalid_request("The request is no 'multipart/form-data'.")
    try:
        return await _read(_parts(request, await request.read()))
    # Whatever aiohttp raises for what is no part, or is in an encoding that is none; it warns of
    # headers, which raises where warnings are errors.
    except (ValueError, LookupError, RuntimeError, RuntimeWarning, AssertionError):
        raise errors.invalid_request("We could not parse the form of your request.") from None


def _parts(request: web.Request, body: bytes) -> MultipartReader:
    """Return the parts of a body that has been read already."""
    content = StreamReader(request.protocol, len(body) + 1, loop=asyncio.get_running_loop())
    content.feed_data(body)
    content.feed_eof()
    return MultipartReader(request.headers, content)


async def _read(parts: MultipartReader) -> Form:
    fields: dict[str, Any] = {}
    files: dict[str, list[File]] = {}
    while (part := await parts.next()) is not None:
        if not isinstance(part, BodyPartReader) or part.name is None:
            raise ValueError("a part without a name")
        name = part.name.removesuffix("[]")
        data = await part.read()
        if part.filename is not None:
            files.setdefault(name, []).append(File(name=part.filename, size=len(data)))
        elif name != part.name:
            fields.setdefault(name, []).append(data.decode())
        else:
            fields[name] = _number(data.decode()) if name in _NUMBERS else data.decode()
    return Form(fields=fields, files=files)


def _number(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
