"""The comment on a pull request: the verdict first, then the pool, then what else would change."""

from collections.abc import Iterator
from typing import Final

from components.traffic import percent
from probes.forms.markdown_text import bar, escape
from probes.preview.costs import MONTHLY
from probes.preview.model import Change, Pool, Preview
from probes.preview.verdict import BALANCED, UNBALANCED, Verdict

MARKER: Final = "<!-- openai-gateway: where traffic will go -->"
"""The first line of the comment, by which a later run finds it."""
LIMIT: Final = 60_000
"""Characters; GitHub refuses comments of more than 65,536."""
_MARKS: Final = {BALANCED: "✅", UNBALANCED: "❌"}
_SIGNS: Final = {"create": "+", "update": "~", "delete": "-", "replace": "±"}
_LONGEST: Final = 500
"""Characters of one reason, error or name."""


def render(preview: Preview | None, verdict: Verdict) -> str:
    """Return the comment; None is a preview that could not be read."""
    head = [
        MARKER,
        f"### {_MARKS.get(verdict.code, '❔')} {_text(verdict.sentence)}",
        "",
        *(f"- {_text(reason)}" for reason in verdict.reasons[:20]),
    ]
    sections = list(_sections(preview)) if preview else []
    lines, cut = head, 0
    for section in sections:
        room = LIMIT - 200 - sum(len(line) + 1 for line in lines)
        kept = _fitting(section, room)
        cut += len(section) - len(kept)
        lines += kept
    if cut:
        lines += ["", f"*{cut} lines are left out: the comment would be too long.*"]
    return "\n".join(lines) + "\n"


def _fitting(section: list[str], room: int) -> list[str]:
    """Return as much of a section as fits: whole lines, and closed if it is folded."""
    total = sum(len(line) + 1 for line in section)
    if total <= room:
        return section
    end = section[-2:] if section[-1] == "</details>" else []
    room -= sum(len(line) + 1 for line in end)
    kept: list[str] = []
    for line in section[: len(section) - len(end)]:
        room -= len(line) + 1
        if room < 0:
            break
        kept.append(line)
    return [*kept, *end] if len(kept) > len(end) else []


def _sections(preview: Preview) -> Iterator[list[str]]:
    for name in {**preview.before, **preview.after}:
        yield _pool(name, preview.before.get(name), preview.after.get(name))
    if preview.errors:
        yield ["", "**Errors**", "", *(f"- {_text(error)}" for error in preview.errors)]
    if preview.counts:
        counted = ", ".join(f"{n} to {escape(op)}" for op, n in sorted(preview.counts.items()))
        yield ["", f"**Resources:** {counted.replace('to same', 'unchanged')}"]
    costs = list(_costs(preview.changes))
    if costs:
        yield ["", "**Costs of what is added**", "", *costs]
    if preview.changes:
        yield [
            "",
            f"<details><summary>{len(preview.changes)} changes</summary>",
            "",
            "| | type | name | properties |",
            "|---|---|---|---|",
            *map(_change, preview.changes),
            "",
            "</details>",
        ]
    if preview.warnings:
        yield ["", *(f"> {_text(warning)}" for warning in preview.warnings)]


def _pool(name: str, before: Pool | None, after: Pool | None) -> list[str]:
    rows: dict[str, list[str]] = {}
    for side, pool in enumerate((before, after)):
        for index, member in enumerate(pool.members if pool else ()):
            shares = pool.shares if pool else None
            share = percent(shares[index]) if shares else "not known"
            drawn = bar(float(shares[index])) if shares and side else ""
            row = rows.setdefault(member.label, ["", "", "", "", ""])
            row[side * 2] = f"{member.priority} / {member.weight}"
            row[side * 2 + 1] = share
            row[4] = drawn or row[4]
    return [
        "",
        f"**Pool {_text(name)}**" + ("" if after else " would be deleted"),
        "",
        "| region | priority / weight before | share | after | share | |",
        "|---|---|--:|---|--:|---|",
        *(
            f"| {_text(label)} | {' | '.join(cell or '-' for cell in cells[:4])} | {cells[4]} |"
            for label, cells in rows.items()
        ),
    ]


def _change(change: Change) -> str:
    kind = change.type.rpartition(":")[2]
    sign = _SIGNS.get(change.operation, escape(change.operation))
    properties = ", ".join(change.properties[:20])
    return f"| {sign} | {_text(kind)} | {_text(change.name)} | {_text(properties)} |"


def _costs(changes: tuple[Change, ...]) -> Iterator[str]:
    for change in changes:
        if change.operation == "create" and (cost := MONTHLY.get(change.type)):
            yield f"- {_text(change.name)}: {cost}"


def _text(text: str) -> str:
    return escape(text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…")
