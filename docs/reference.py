"""What the documents say that the code declares; `python -m docs.reference` writes it.

The config's keys (components/settings.py): the table in README.md, docs/config.md, and the JSON
Schema that the stacks' files name. The Pulumi package (components/package.py): its schema, a part
of docs/package.md, and the types of its arguments in components/args.py. Exit codes and `--help` of
the two commands: parts of README.md and of docs pages, between `<!-- generated: NAME -->` and
`<!-- end -->`. A test compares them.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic.json_schema import GenerateJsonSchema

from components import package
from components.inference_api import operations
from components.keys import APIS
from components.mistakes import NAMESPACE
from components.settings import Settings
from docs import package as programs
from probes import exit_codes

ROOT: Final = Path(__file__).parents[1]
DOCUMENTS: Final = tuple(
    ROOT / name
    for name in (
        "README.md",
        "docs/probe.md",
        "docs/previews.md",
        "docs/stack.md",
        "docs/models.md",
        "docs/responses.md",
        "docs/package.md",
    )
)
"""Documents with generated parts."""
_LATER: Final = frozenset(
    (
        "acceptStarved",
        "apis",
        "resourceSuffix",
        "breaker",
        "retries",
        "network",
        "streaming",
        "revealBackend",
        "apiVersion",
        "exportKey",
        "restore",
        "tags",
    )
)
"""Keys that few stacks need: docs/config.md has them, and README.md names them."""
PAGE: Final = ROOT / "docs" / "config.md"
SCHEMA: Final = ROOT / "docs" / "pulumi-config.schema.json"
PACKAGE: Final = ROOT / "docs" / "package-schema.json"
ARGUMENTS: Final = ROOT / "components" / "args.py"
_PART: Final = re.compile(r"(?<=<!-- generated: )(.+?)( -->\n).*?(?=<!-- end -->)", re.DOTALL)


class _Untitled(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        return False


def config() -> dict[str, Any]:
    """Return the JSON Schema of the config, keys without namespace, with every default."""
    schema = Settings.model_json_schema(schema_generator=_Untitled)
    for field in Settings.model_fields.values():
        key = schema["properties"][field.alias]
        if field.default_factory:
            value = field.get_default(call_default_factory=True, validated_data={})
            key["default"] = value.model_dump(by_alias=True, exclude_none=True)
        elif isinstance(field.default, tuple):
            key["default"] = [
                each if isinstance(each, str) else each.model_dump(by_alias=True, exclude_none=True)
                for each in field.default
            ]
    schema["properties"]["protect"]["default"] = True
    schema["properties"]["network"]["default"] = "public"
    return schema


def stack_file() -> dict[str, Any]:
    """Return the JSON Schema of a `Pulumi.<stack>.yaml`; keys of other namespaces are free."""
    schema = config()
    names = "|".join(schema["properties"])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A stack's config of openai-gateway",
        "type": "object",
        "properties": {
            "config": {
                "type": "object",
                "properties": {
                    f"{NAMESPACE}:{name}": key for name, key in schema["properties"].items()
                },
                "propertyNames": {"pattern": f"^(?!{NAMESPACE}:)|^{NAMESPACE}:({names})$"},
                "required": [f"{NAMESPACE}:{name}" for name in schema["required"]],
            }
        },
        "$defs": {
            name: {key: value for key, value in section.items() if key != "title"}
            for name, section in schema["$defs"].items()
        },
    }


def table(schema: dict[str, Any], section: dict[str, Any]) -> str:
    """Return the keys of a section as a table."""
    rows = ["| key | default | meaning |", "|---|---|---|"]
    for name, key in section["properties"].items():
        required = name in section.get("required", ())
        default = "required" if required else _flow(key.get("default"))
        shapes = [_shape(schema["$defs"][each]) for each in _references(key)]
        meaning = " ".join([*shapes, key["description"]])
        rows.append(f"| `{name}` | {default} | {meaning} |")
    return "\n".join(rows)


def _first(schema: dict[str, Any]) -> dict[str, Any]:
    return {name: key for name, key in schema["properties"].items() if name not in _LATER}


def _shape(section: dict[str, Any]) -> str:
    required = section.get("required", ())
    keys = [name if name in required else f"{name}?" for name in section["properties"]]
    return f"`{{{', '.join(keys)}}}`."


def _flow(value: Any) -> str:
    if value is None:
        return ""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=1000)
    return f"`{text.replace('...', '').strip()}`"


def page() -> str:
    """Return docs/config.md: the keys of every section."""
    schema = config()
    parts = ["# Config", _INTRODUCTION, table(schema, schema)]
    for name, key in schema["properties"].items():
        for reference in _references(key):
            parts += _section(schema, reference, name + ("[]" if "items" in key else ""))
    return "\n\n".join(parts) + "\n"


def _section(schema: dict[str, Any], name: str, path: str) -> list[str]:
    section = schema["$defs"][name]
    parts = [f"## `{path}`", section["description"], table(schema, section)]
    for inner, key in section["properties"].items():
        for reference in _references(key):
            parts += _section(schema, reference, f"{path}.{inner}")
    return parts


def _references(key: Any) -> list[str]:
    """Name the sections that a key takes, itself or as the entries of its list."""
    if isinstance(key, dict):
        own = [key["$ref"].rpartition("/")[2]] if "$ref" in key else []
        return own + [name for value in key.values() for name in _references(value)]
    return [name for value in key for name in _references(value)] if isinstance(key, list) else []


_INTRODUCTION: Final = f"""\
Every key is in the namespace `{NAMESPACE}`. A value that is wrong stops the preview before anything
is declared; all mistakes are reported at once, each with its key, the value and the remedy. Editors
with a YAML language server check a stack's file as you type, by
[its schema](pulumi-config.schema.json)."""


def filled(document: str) -> str:
    """Return a document with its generated parts as they are now. Raises KeyError for another."""
    schema = config()
    parts = {
        "config": lambda: table(schema, {**schema, "properties": _first(schema)}),
        "exit codes of the probe": lambda: _exit_codes(exit_codes.PROBE),
        "exit codes of the models": lambda: _exit_codes(exit_codes.MODELS),
        "help of the models": lambda: _help("probes/models.py"),
        "exit codes of the comment": lambda: _exit_codes(exit_codes.COMMENT),
        "help of the probe": lambda: _help("probes/distribution.py"),
        "help of the comment": lambda: _help("probes/preview_comment.py"),
        "operations": _operations,
        "package": programs.components,
    }
    return _PART.sub(lambda found: f"{found[1]}{found[2]}{parts[found[1]]()}\n", document)


def _operations() -> str:
    rows = ["| `apis` | what | method and path |", "|---|---|---|"]
    for api in APIS:
        rows += [
            f"| `{api}` | {title} | `{method} {path}` |"
            for name, (title, method, path) in operations([api]).items()
            if not name.startswith(("v1-", "elsewhere-"))
        ]
    return "\n".join(rows)


def _exit_codes(codes: Mapping[int, str]) -> str:
    rows = (f"| {code} | {meaning} |" for code, meaning in codes.items())
    return "\n".join(["| exit code | meaning |", "|---|---|", *rows])


def _help(script: str) -> str:
    done = subprocess.run(
        [sys.executable, script, "--help"],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "80"},
        capture_output=True,
        check=True,
        text=True,
    )
    return f"```text\n{done.stdout.rstrip()}\n```"


def schema_text() -> str:
    """Return docs/pulumi-config.schema.json."""
    return _json(stack_file())


def package_text() -> str:
    """Return docs/package-schema.json: what the Pulumi CLI gets from the package."""
    return _json(package.schema())


def _json(document: Any) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for path in DOCUMENTS:
        path.write_text(filled(path.read_text(encoding="utf-8")), encoding="utf-8")
    PAGE.write_text(page(), encoding="utf-8")
    SCHEMA.write_text(schema_text(), encoding="utf-8")
    PACKAGE.write_text(package_text(), encoding="utf-8")
    ARGUMENTS.write_text(programs.arguments(), encoding="utf-8")
