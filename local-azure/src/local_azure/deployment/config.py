"""What the Pulumi CLI hands to a program as its config, from Pulumi.yaml and the stack's file.

The program reads strings; what is no scalar comes as JSON. Defaults of typed keys in Pulumi.yaml
are filled in and types are checked, in the CLI's own words (pulumi, sdk/go/common/workspace).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from local_azure.local import LocalAzureError

_FastLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_FastLoader):  # type: ignore[misc] # in C where PyYAML has it, else in Python
    """YAML in which `2026-03-17` is text: JSON, and so a program, knows no dates."""


_Loader.yaml_implicit_resolvers = {
    first: [resolver for resolver in resolvers if not resolver[0].endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class ConfigError(LocalAzureError):
    """Pulumi.yaml or the stack's file cannot be used; the message names file, key and remedy."""


@dataclass(frozen=True, kw_only=True)
class Project:
    """A Pulumi project with a stack's config: full keys (`project:key`) to strings."""

    name: str
    main: Path  # the folder that holds __main__.py
    config: Mapping[str, str]


def load(project_dir: Path, stack: str, config_file: Path | None = None) -> Project:
    """Read the project in a folder and the config of one of its stacks.

    Raises ConfigError. A stack without a file has no config of its own, as in Pulumi.
    """
    project_file = project_dir / "Pulumi.yaml"
    if not project_file.exists():
        raise ConfigError(f"no Pulumi.yaml in {project_dir}: run this in the project's folder")
    document = _mapping(project_file, _compose(project_file))
    project = {key: _value(node) for key, node in document.items()}
    name = project.get("name")
    if not isinstance(name, str) or not name:
        raise ConfigError(f"{project_file}: project is missing a 'name' attribute")
    if config_file is not None and not config_file.exists():
        raise ConfigError(f"config file {config_file} does not exist")
    stack_file = config_file or project_dir / f"Pulumi.{stack}.yaml"
    given = _stack_config(stack_file, name) if stack_file.exists() else {}
    return Project(
        name=name,
        main=project_dir / str(project.get("main") or "."),
        config=_with_defaults(
            project_file,
            stack,
            name,
            project.get("config") or {},
            given,
            stack_file=stack_file,
        ),
    )


def _stack_config(path: Path, project: str) -> dict[str, Any]:
    config = _mapping(path, _compose(path)).get("config")
    entries = _mapping(path, config) if config is not None else {}
    result: dict[str, Any] = {}
    for key, node in entries.items():
        value = _top_level(node)
        if _is_encrypted(value):
            raise ConfigError(
                f"{path}: {key} is encrypted; only the Pulumi CLI can decrypt it. Give another"
                " file with --config-file, with a value for local use"
            )
        result[_full_key(project, key)] = value
    return result


def _with_defaults(
    path: Path,
    stack: str,
    project: str,
    declared: Any,
    given: Mapping[str, Any],
    *,
    stack_file: Path,
) -> dict[str, str]:
    """Merge what Pulumi.yaml declares into a stack's config, and check it."""
    if not isinstance(declared, dict):
        raise ConfigError(f"{path}: config must map keys to their types or values")
    config = dict(given)
    missing = []
    for key in sorted(declared):
        entry = declared[key] if isinstance(declared[key], dict) else {"default": declared[key]}
        full_key = _full_key(project, key)
        if full_key in config:
            continue
        value = entry.get("value", entry.get("default"))
        if value is not None:
            config[full_key] = value
        elif full_key.startswith(f"{project}:"):
            missing.append(f"'{key}'")
    if missing:
        values = "value" if len(missing) == 1 else "values"
        absent = "" if stack_file.exists() else ", which does not exist"
        raise ConfigError(
            f"Stack '{stack}' is missing configuration {values} {_listed(missing)};"
            f" set it in {stack_file.name}{absent}"
        )
    for key in sorted(declared):
        entry = declared[key]
        if isinstance(entry, dict) and "type" in entry:
            value = config[_full_key(project, key)]
            if not _has_type(value, entry["type"], entry.get("items")):
                raise ConfigError(
                    f"Stack '{stack}' with configuration key '{key}' must be of type"
                    f" '{_type_name(entry['type'], entry.get('items'))}'"
                )
    return {key: _as_string(value) for key, value in config.items()}


def _full_key(project: str, key: str) -> str:
    return key if ":" in key else f"{project}:{key}"


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _has_type(value: Any, kind: str, items: Any) -> bool:
    match kind:
        case "string":
            return isinstance(value, str)
        case "integer":
            return (
                bool(re.fullmatch(r"[+-]?\d+", value))
                if isinstance(value, str)
                else isinstance(value, int | float)
                and not isinstance(value, bool)
                and float(value).is_integer()
            )
        case "boolean":
            return isinstance(value, bool) or value in ("true", "false")
        case "object":
            return isinstance(value, dict)
    return (
        isinstance(value, list)
        and isinstance(items, dict)
        and all(_has_type(item, items["type"], items.get("items")) for item in value)
    )


def _type_name(kind: str, items: Any) -> str:
    return f"array<{_type_name(items['type'], items.get('items'))}>" if items else kind


def _as_string(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"))


def _compose(path: Path) -> yaml.Node | None:
    try:
        with path.open(encoding="utf-8") as file:
            return yaml.compose(file, Loader=_Loader)
    except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from None


def _mapping(path: Path, node: yaml.Node | None) -> dict[str, yaml.Node]:
    if node is None or _is_null(node):
        return {}
    if not isinstance(node, yaml.MappingNode):
        line = node.start_mark.line + 1
        raise ConfigError(f"{path}, line {line}: a mapping of keys to values is expected here")
    return {str(key.value): value for key, value in node.value}


def _top_level(node: yaml.Node) -> Any:
    """Return a config value: a scalar as it is written (null as nothing), else its structure.

    The CLI reads every scalar as a string, whatever YAML would make of it.
    """
    if isinstance(node, yaml.ScalarNode):
        return "" if _is_null(node) else node.value
    return _value(node)


def _value(node: yaml.Node) -> Any:
    loader = _Loader("")
    try:
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _is_null(node: yaml.Node) -> bool:
    return bool(node.tag == "tag:yaml.org,2002:null")


def _is_encrypted(value: Any) -> bool:
    if isinstance(value, dict):
        return set(value) == {"secure"} or any(_is_encrypted(item) for item in value.values())
    return isinstance(value, list) and any(_is_encrypted(item) for item in value)
