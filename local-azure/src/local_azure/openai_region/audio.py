"""Speech, in both directions: what is said of a file that is sent, and silence for a text."""

import base64
import io
import math
import wave
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from local_azure.openai_region import answers, errors, parameters
from local_azure.openai_region.forms import Form

# Of a whole file, as most are: 128 kbit/s.
_BYTES_PER_SECOND: Final = 16_000
_AUDIO_TOKENS_PER_SECOND: Final = 10
_TEXT: Final = "text/plain; charset=utf-8"
_MOST_CHARACTERS: Final = 4096
_RATE: Final = 24_000
_SECONDS_PER_TOKEN: Final = 0.25


@dataclass(frozen=True, kw_only=True)
class Recording:
    """A file that was sent to be written down, `seconds` long by its size."""

    name: str
    seconds: float
    prompt_tokens: int
    format: str
    words: bool
    stream: bool
    is_whisper: bool
    task: str

    def text(self, region: str) -> str:
        return f"Hello from {region}. You sent {self.name} of {self.seconds:g} seconds."

    def usage(self, text: str) -> dict[str, Any]:
        """Return the `usage` object: in seconds for Whisper, in tokens for those after it."""
        if self.is_whisper:
            return {"type": "duration", "seconds": math.ceil(self.seconds)}
        heard = math.ceil(self.seconds * _AUDIO_TOKENS_PER_SECOND)
        told, said = self.prompt_tokens, len(answers.tokens(text))
        return {
            "type": "tokens",
            "input_tokens": heard + told,
            "input_token_details": {"audio_tokens": heard, "text_tokens": told},
            "output_tokens": said,
            "total_tokens": heard + told + said,
        }


def read_recording(form: Form, model: str, *, task: str) -> Recording:
    """Read a request to `transcribe` or `translate` a file. Raises ApiError."""
    body = form.fields
    is_whisper = "whisper" in model
    if task == "translate" and not is_whisper:
        raise errors.operation_not_supported("audioTranslation", model)
    known = parameters.TRANSCRIPTIONS if task == "transcribe" else parameters.TRANSLATIONS
    parameters.check(body, known, model)
    files = form.files.get("file", ())
    if len(files) != 1:
        raise errors.invalid_request(
            "Invalid 'file': expected one file of audio.", "file", "missing_required_parameter"
        )
    format_ = body.get("response_format") or "json"
    if not is_whisper and format_ not in ("json", "text"):
        raise errors.unsupported_value("response_format", format_, "json")
    words = "word" in (body.get("timestamp_granularities") or ())
    if words and format_ != "verbose_json":
        raise errors.invalid_request(
            "'timestamp_granularities' needs the 'response_format' verbose_json.",
            "timestamp_granularities",
        )
    [file] = files
    return Recording(
        name=file.name,
        seconds=round(file.size / _BYTES_PER_SECOND, 2) or 0.01,
        prompt_tokens=len(answers.tokens(body.get("prompt") or "")),
        format=format_,
        words=words,
        # The models before do not stream, and say nothing (API reference).
        stream=parameters.boolean(body, "stream") and not is_whisper,
        is_whisper=is_whisper,
        task=task,
    )


def written(recording: Recording, region: str) -> Mapping[str, Any] | tuple[bytes, str]:
    """Return what was said: JSON, or a text and its content type."""
    text, end = recording.text(region), recording.seconds
    match recording.format:
        case "text":
            return f"{text}\n".encode(), _TEXT
        case "srt":
            return f"1\n{_time(0, ',')} --> {_time(end, ',')}\n{text}\n\n".encode(), _TEXT
        case "vtt":
            cue = f"{_time(0, '.')} --> {_time(end, '.')}\n{text}\n\n"
            return f"WEBVTT\n\n{cue}".encode(), "text/vtt; charset=utf-8"
        case "verbose_json":
            return _verbose(recording, text)
        case _:
            return {"text": text, "usage": recording.usage(text)}


def _verbose(recording: Recording, text: str) -> dict[str, Any]:
    end = recording.seconds
    segment = {
        "id": 0,
        "seek": 0,
        "start": 0.0,
        "end": end,
        "text": text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": answers.SURE,
        "compression_ratio": 1.0,
        "no_speech_prob": 0.0,
    }
    said = text.split()
    each = end / len(said)
    words = [
        {"word": word, "start": round(n * each, 3), "end": round((n + 1) * each, 3)}
        for n, word in enumerate(said)
    ]
    return {
        "task": recording.task,
        "language": "english",
        "duration": end,
        "text": text,
        "segments": [segment],
        **({"words": words} if recording.words else {}),
        "usage": recording.usage(text),
    }


def _time(seconds: float, point: str) -> str:
    whole, rest = divmod(round(seconds * 1000), 1000)
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours:02}:{minutes:02}:{whole % 60:02}{point}{rest:03}"


def written_events(recording: Recording, region: str) -> Iterator[dict[str, Any]]:
    """Give the events of a streamed transcription."""
    text = recording.text(region)
    for token in answers.tokens(text):
        yield {"type": "transcript.text.delta", "delta": token}
    yield {"type": "transcript.text.done", "text": text, "usage": recording.usage(text)}


@dataclass(frozen=True, kw_only=True)
class Speech:
    """A text that is to be spoken."""

    tokens: int
    format: str
    stream: bool


def read_speech(body: Mapping[str, Any], model: str) -> Speech:
    """Read a request for speech. Raises ApiError."""
    parameters.check(body, parameters.SPEECH, model)
    text = body.get("input")
    if not isinstance(text, str) or not 1 <= len(text) <= _MOST_CHARACTERS:
        raise errors.invalid_request(
            f"Invalid 'input': expected a text of 1 to {_MOST_CHARACTERS} characters.", "input"
        )
    if body.get("voice") is None:
        raise errors.invalid_request(
            "Missing required parameter: 'voice'.", "voice", "missing_required_parameter"
        )
    stream = body.get("stream_format") == "sse"
    if model.startswith("tts"):
        for name, is_given in (
            ("instructions", body.get("instructions") is not None),
            ("stream_format", stream),
        ):
            if is_given:
                raise errors.unsupported_parameter(name)
    return Speech(
        tokens=len(answers.tokens(text)),
        format=body.get("response_format") or "mp3",
        stream=stream,
    )


def spoken(speech: Speech) -> tuple[bytes, str]:
    """Return silence as long as the text, and its content type."""
    samples = bytes(2 * int(speech.tokens * _SECONDS_PER_TOKEN * _RATE))
    match speech.format:
        case "pcm":
            return samples, "audio/pcm"
        case "wav":
            held = io.BytesIO()
            with wave.open(held, "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(_RATE)
                file.writeframes(samples)
            return held.getvalue(), "audio/wav"
        case _:
            # A frame of MPEG-1 layer III: 1152 samples at 44,100 a second, 128 kbit/s.
            frame = b"\xff\xfb\x90\xc4" + bytes(413)
            return frame * math.ceil(
                speech.tokens * _SECONDS_PER_TOKEN * 44_100 / 1152
            ), "audio/mpeg"


def spoken_events(speech: Speech) -> Iterator[dict[str, Any]]:
    """Give the events of streamed speech."""
    data, _ = spoken(speech)
    for start in range(0, len(data), _RATE):
        part = base64.b64encode(data[start : start + _RATE]).decode()
        yield {"type": "speech.audio.delta", "audio": part}
    made = math.ceil(speech.tokens * _SECONDS_PER_TOKEN * _AUDIO_TOKENS_PER_SECOND)
    yield {
        "type": "speech.audio.done",
        "usage": {
            "input_tokens": speech.tokens,
            "output_tokens": made,
            "total_tokens": speech.tokens + made,
        },
    }
