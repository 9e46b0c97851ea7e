"""What is fuzzed of the product: the outputs, previews and config that it reads, and its policy."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any, Final

import yaml
from generators import edited, spliced
from targets import Check, Target, as_json, data_case, gateway_with, plain, utf8

from components import contract, settings
from components.inference_api import policy_xml
from local_azure.deployment import config as stack_config
from probes import preview_comment
from probes.preview.comment import LIMIT
from probes.report import Expectation

ROOT: Final = Path(__file__).parents[2]

_OUTPUTS: Final = {
    "resource_group": "rg",
    "gateway_url": "https://apim-x.azure-api.net",
    "inference_url": "https://apim-x.azure-api.net/inference",
    "subscription_key": "a-key-that-nobody-shows",
    "deployment": "chat",
    "api_version": "2024-10-21",
    "pool": {"id": "/subscriptions/x/backends/pool", "name": "pool"},
    "routing": "round-robin",
    "backends": [
        {
            "id": f"foundry{number}",
            "location": "uksouth",
            "region": "UK South",
            "url": f"https://foundry{number}-x.openai.azure.com/openai",
            "priority": 1,
            "weight": 1,
        }
        for number in (1, 2, 3)
    ],
}


_PATH: Final = "prod.pools[0]"
_BELOW: Final = {"prod": {"pools": [_OUTPUTS, {"openai": _OUTPUTS}]}, "other": "[secret]"}


def _read_outputs(text: bytes) -> None:
    for key in (None, _PATH):
        _read_outputs_at(text, key)


def _read_outputs_at(text: bytes, key: str | None) -> None:
    try:
        stack = contract.read(text, key)
    except contract.OutputsError as error:
        assert "a-key-that-nobody-shows" not in str(error)
        assert str(error).isprintable()
        assert len(str(error)) < 1000
        return
    assert stack.chat_url.startswith(stack.inference_url)
    assert stack.models_url
    for expect in ("round-robin", "declared"):
        assert abs(sum(Expectation.of(stack, expect).plan.shares.values()) - 1) < 1e-9
    key = stack.subscription_key
    if len(key) > 20:  # a shorter one is in other words as well
        assert key not in stack.redact(f"x {key} y")
        assert key not in repr(stack)


_PREVIEWS: Final = [
    json.loads(path.read_text("utf-8"))
    for path in sorted((ROOT / "tests" / "probes" / "previews").glob("*.json"))
    if path.stat().st_size < 60_000
]


_PREVIEW_TEXTS: Final = [json.dumps(preview) for preview in _PREVIEWS]


def _comment(document: str) -> None:
    for round_robin in (True, False):
        preview, verdict = preview_comment._judged(document, round_robin=round_robin)
        assert verdict.code in (0, 1, 3)
        comment = preview_comment.render(preview, verdict)
        assert len(comment) <= LIMIT
        comment.encode("utf-8", errors="strict")


_CONFIG: Final = {
    "regions": [
        {"name": "foundry1", "location": "uksouth", "priority": 1, "weight": 100},
        {"name": "foundry2", "location": "eastus", "priority": 2, "weight": 50},
        {
            "name": "foundry3",
            "location": "norwayeast",
            "existing": {"resourceGroup": "rg", "accountName": "account"},
        },
    ],
    "routing": "priority",
    "models": [
        {
            "name": "chat",
            "model": "gpt-5-mini",
            "version": "2025-08-07",
            "sku": "GlobalStandard",
            "capacity": 10,
        }
    ],
    "gateway": {"sku": "BasicV2", "capacity": 1, "publisherName": "x", "publisherEmail": "x@y.zz"},
    "resourceSuffix": "abc12345",
    "breaker": {"count": 3, "interval": "PT1M", "tripDuration": "PT1M", "acceptRetryAfter": True},
    "revealBackend": True,
}
_STACK_FILE: Final = yaml.safe_dump(
    {"config": {f"openai-gateway:{key}": value for key, value in _CONFIG.items()}}
)


def _read_config(config: Any) -> None:
    try:
        settings.parse(config)
    except settings.SettingsError as error:
        for line in error.problems:
            assert line.startswith("openai-gateway:")
            assert len(line) < 2000
            assert "\n" not in line


@contextmanager
def _config() -> Iterator[Check]:
    with tempfile.NamedTemporaryFile(suffix=".yaml") as file:

        def check(case: Any) -> None:
            if isinstance(case, dict):
                _read_config(case)
                return
            Path(file.name).write_bytes(utf8(case))
            try:
                project = stack_config.load(ROOT, "dev", Path(file.name))
            except stack_config.ConfigError as error:
                assert str(error)
                return
            given = {key.partition(":")[2]: value for key, value in project.config.items()}
            _read_config({key: settings._decode(key, value) for key, value in given.items()})

        yield check


def _outputs_case(rng: Random) -> bytes:
    if rng.random() < 0.7:
        return as_json(edited(rng, _OUTPUTS, _BELOW))
    return utf8(spliced(rng, json.dumps(_OUTPUTS)))


def _preview_case(rng: Random) -> str:
    if rng.random() < 0.7:
        return json.dumps(edited(rng, *_PREVIEWS))
    return spliced(rng, *_PREVIEW_TEXTS)


def _config_case(rng: Random) -> Any:
    config = edited(rng, _CONFIG) if rng.random() < 0.7 else None
    return config if isinstance(config, dict) else spliced(rng, _STACK_FILE)


# The policy that reads bodies: it looks for the model in them.
_POLICY: Final = policy_xml(
    settings.parse(
        {
            **_CONFIG,
            "models": [{**_CONFIG["models"][0], "name": name} for name in ("chat", "embed")],
        }
    ),
    "BasicV2",
)

TARGETS: Final = (
    Target(name="outputs", make=_outputs_case, open=plain(_read_outputs), share=8),
    Target(name="preview", make=_preview_case, open=plain(_comment), share=7),
    Target(name="config", make=_config_case, open=_config, share=7),
    Target(
        name="own-policy",
        make=data_case,
        open=lambda: gateway_with(_POLICY, endings=("", "-embed")),
        share=3,
    ),
)
