"""Pictures: one colour, which is the same for the same prompt, in the size that was asked for."""

import base64
import hashlib
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from local_azure.openai_region import answers, errors, parameters

_MOST_IMAGES: Final = 10
_MOST_PARTIAL: Final = 3
_MOST_SHOWN: Final = 16
_SQUARE: Final = "1024x1024"
# OpenAI, "Image generation", cost and latency: tokens of a picture, by quality and form.
_TOKENS: Final[Mapping[str, tuple[int, int, int]]] = {
    "low": (272, 408, 400),
    "medium": (1056, 1584, 1568),
    "high": (4160, 6240, 6208),
}


@dataclass(frozen=True, kw_only=True)
class Images:
    """A request for pictures, read and checked; `shown` is how many it has edited, if any."""

    prompt: str
    shown: int
    count: int
    size: str
    quality: str
    stream: bool
    partial: int
    is_classic: bool
    as_url: bool

    @property
    def prompt_tokens(self) -> int:
        return len(answers.tokens(self.prompt))

    @property
    def usage(self) -> dict[str, Any]:
        """The `usage` object."""
        width, height = _sides(self.size)
        form = 0 if width == height else 1 if width < height else 2
        shown = self.shown * answers.TOKENS_PER_IMAGE
        made = self.count * _TOKENS[self.quality][form]
        return {
            "input_tokens": self.prompt_tokens + shown,
            "input_tokens_details": {"text_tokens": self.prompt_tokens, "image_tokens": shown},
            "output_tokens": made,
            "total_tokens": self.prompt_tokens + shown + made,
        }


def read(body: Mapping[str, Any], model: str, *, shown: int | None = None) -> Images:
    """Read a request to make pictures, or to edit those that are `shown`. Raises ApiError."""
    parameters.check(body, parameters.IMAGES, model)
    is_classic = "dall-e" in model
    prompt = body.get("prompt")
    if not isinstance(prompt, str) or not prompt:
        raise errors.invalid_request(
            "Missing required parameter: 'prompt'.", "prompt", "missing_required_parameter"
        )
    if shown is not None and not 1 <= shown <= _MOST_SHOWN:
        raise errors.invalid_request(
            f"Invalid 'image': expected 1 to {_MOST_SHOWN} files.", "image"
        )
    for name in ("response_format", "style"):
        if body.get(name) is not None and not is_classic:
            raise errors.unsupported_parameter(name)
    stream = parameters.boolean(body, "stream")
    if stream and is_classic:
        raise errors.unsupported_parameter("stream")
    partial = parameters.integer(body, "partial_images", 0, _MOST_PARTIAL) or 0
    count = parameters.integer(body, "n", 1, 1 if is_classic else _MOST_IMAGES) or 1
    if stream and count > 1:
        raise errors.not_supported_here("n", "a stream has one picture")
    size = body.get("size") or "auto"
    quality = body.get("quality") or "auto"
    return Images(
        prompt=prompt,
        shown=shown or 0,
        count=count,
        size=_SQUARE if size == "auto" else size,
        quality=quality if quality in _TOKENS else "medium",
        stream=stream,
        partial=partial,
        is_classic=is_classic,
        as_url=is_classic and body.get("response_format") != "b64_json",
    )


def whole(request: Images, now: float) -> dict[str, Any]:
    """Return the pictures. A URL is one that holds its picture: nothing is kept anywhere."""
    picture = _picture(request)
    held = {"url": f"data:image/png;base64,{picture}"} if request.as_url else {"b64_json": picture}
    if request.is_classic:
        return {"created": int(now), "data": [{**held, "revised_prompt": request.prompt}]}
    return {
        "created": int(now),
        "data": [held] * request.count,
        **_looks(request),
        "usage": request.usage,
    }


def events(request: Images, now: float) -> Iterator[dict[str, Any]]:
    """Give the events of a stream: as many partial pictures as were asked for, and the whole."""
    kind = "image_edit" if request.shown else "image_generation"
    told = {"b64_json": _picture(request), "created_at": int(now), **_looks(request)}
    for index in range(request.partial):
        yield {"type": f"{kind}.partial_image", **told, "partial_image_index": index}
    yield {"type": f"{kind}.completed", **told, "usage": request.usage}


def _looks(request: Images) -> dict[str, Any]:
    looks = {"size": request.size, "quality": request.quality}
    return {**looks, "background": "opaque", "output_format": "png"}


def _sides(size: str) -> tuple[int, int]:
    width, height = map(int, size.split("x"))
    return width, height


def _picture(request: Images) -> str:
    """Return a PNG of one colour in base 64: every pixel is the first of a palette."""
    width, height = _sides(request.size)
    colour = hashlib.sha256(request.prompt.encode("utf-8", "replace")).digest()[:3]
    rows = zlib.compress(bytes((1 + (width + 7) // 8) * height))
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in (
            (b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 3, 0, 0, 0)),
            (b"PLTE", colour),
            (b"IDAT", rows),
            (b"IEND", b""),
        )
    )
    return base64.b64encode(png).decode()
