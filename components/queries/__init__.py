"""The queries of alerts, workbook and probe: KQL in the files beside this one, filled in here."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from ..contract import Backend  # noqa: TID252 - the package has another name elsewhere
from ..traffic import Member, Pool, percent  # noqa: TID252

_FOLDER: Final = Path(__file__).parent
_PLACE: Final = re.compile(r"\{\{(\w+)\}\}")


def fill(
    name: str,
    *,
    service: str,
    backends: Sequence[Backend[str]],
    accept_starved: Sequence[str] = (),
    **limits: object,
) -> str:
    """Return the query `<name>.kql` for an API Management service, by its ARM id, and its backends.

    `limits` are what some of them name: `starved_below`, a part of a region's expected share,
    `ceiling`, a share of all requests, and `grain`, a timespan as `1h`. The time that a query is
    about is its caller's to say.
    """
    values = {
        "service": _text(service),
        "declared": _declared(backends, accept_starved),
        **{name: str(limit) for name, limit in limits.items()},
    }

    def part(place: re.Match[str]) -> str:
        return values[place[1]] if place[1] in values else read(place[1])

    def read(file: str) -> str:
        return _PLACE.sub(part, (_FOLDER / f"{file}.kql").read_text(encoding="utf-8").strip())

    return read(name)


def _declared(backends: Sequence[Backend[str]], accept_starved: Sequence[str]) -> str:
    members = [Member(name=b.id, priority=b.priority, weight=b.weight) for b in backends]
    rows = []
    for each, share in zip(backends, Pool(members=tuple(members)).shares or (), strict=True):
        host = (urlsplit(each.url).hostname or "").lower()
        told = percent(share) if share else f"{percent(share)}, starved by declaration"
        texts = (each.id, f"{each.region} ({each.id})", host)
        watched = json.dumps(each.id not in accept_starved)
        row = (*map(_text, texts), f"{float(share):.6f}", _text(told), watched)
        rows.append(f"    {', '.join(row)}")
    return ",\n".join(rows)


def _text(value: str) -> str:
    """Return a text as KQL writes it, whose escapes are JSON's."""
    return json.dumps(value, ensure_ascii=False)
