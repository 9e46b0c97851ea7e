"""The comment on a pull request: the verdict first, then the pool, then what else would change."""

from collections.abc import Iterator
from typing import Final

from components.traffic import percent
from probes.formats.markdown_text import bar, escape
from probes.preview import costs
from probes.preview.model import Change, Pool, Preview
from probes.preview.verdict import BALANCED, UNBALANCED, Verdict

MARKER: Final = "<!-- openai-gateway: where traffic will go -->"
"""The first line of the comment, by which a later run finds it."""
LIMIT: Final = 60_000
"""Characters; GitHub refuses comments of more than 65,536."""
_MARKS: Final = {BALANCED: "✅", UNBALANCED: "❌"}
_SIGNS: Final = {"create": "+", "update": "~", "delete": "-", "replace": "±"}
_LONGEST: Final = 300
"""Characters of one reason, name or line of an error."""
_REASONS: Final = 15
_HEAD: Final = 6
"""Lines before the first row of a section that has a table."""
_END: Final = ["", "</details>"]
"""What closes a folded section."""


def render(preview: Preview | None, verdict: Verdict) -> str:
    """Return the comment; None is a preview that could not be read."""
    lines = [
        MARKER,
        f"### {_mark(preview, verdict)} {_text(verdict.sentence)}",
        "",
        *(f"- {_text(reason)}" for reason in verdict.reasons[:_REASONS]),
    ]
    cut: list[str] = []
    if len(verdict.reasons) > _REASONS:
        cut.append(f"{len(verdict.reasons) - _REASONS} reasons")
    for title, section in _sections(preview) if preview else ():
        kept = _fitting(section, LIMIT - 2_000 - _length(lines))
        if len(kept) < len(section):
            cut.append(f"{len(section) - len(kept)} lines of {title}")
        lines += kept
    if cut:
        lines += ["", f"*Left out, as the comment would be too long: {', '.join(cut[:20])}.*"]
    return "\n".join(lines) + "\n"


def _mark(preview: Preview | None, verdict: Verdict) -> str:
    """Return the sign of the verdict: traffic that is as declared is no leave to merge."""
    if verdict.code == BALANCED and preview and preview.violations:
        return "⚠️"
    return _MARKS.get(verdict.code, "❔")


def _length(lines: list[str]) -> int:
    return sum(len(line) + 1 for line in lines)


def _fitting(section: list[str], room: int) -> list[str]:
    """Return as much of a section as fits: whole lines, and closed if it is folded."""
    if _length(section) <= room:
        return section
    end = _END if section[-1] == _END[-1] else []
    room -= _length(end)
    kept: list[str] = []
    for line in section[: len(section) - len(end)]:
        room -= len(line) + 1
        if room < 0:
            break
        kept.append(line)
    # The head of a table without a row says nothing.
    return [*kept, *end] if len(kept) > _HEAD else []


def _sections(preview: Preview) -> Iterator[tuple[str, list[str]]]:
    """Give each section with what it is called when some of it is left out."""
    for name in {**preview.before, **preview.after}:
        yield "the pool", _pool(name, preview.before.get(name), preview.after.get(name))
    violations = [
        (each.rule, f"{each.resource.name}: {each.message}") for each in preview.violations
    ]
    if violations:
        listed = [f"- {_text(rule)}: {_text(message)}" for rule, message in violations]
        yield "the policy violations", ["", "**Policy violations**", "", *listed]
    told = {f"[mandatory] {rule}: {message}" for rule, message in violations}
    errors = [error for error in preview.errors if error not in told]
    if errors:
        yield "the errors", _folded(f"{len(errors)} error(s)", list(map(_lines, errors)))
    if preview.counts:
        counted = ", ".join(f"{n} to {_text(op)}" for op, n in sorted(preview.counts.items()))
        yield "the counts", ["", f"**Resources:** {counted.replace('to same', 'unchanged')}"]
    added = list(_costs(preview.changes))
    if added:
        source = f"*{_text(costs.SOURCE)}*"
        yield "the costs", ["", "**Costs of what is added**", "", *added, "", source]
    if preview.changes:
        rows = [
            "| | type | name | properties |",
            "|---|---|---|---|",
            *map(_change, preview.changes),
        ]
        yield "the changes", _folded(f"{len(preview.changes)} change(s)", rows)
    if preview.warnings:
        said = list(map(_lines, preview.warnings))
        yield "the warnings", _folded(f"{len(said)} warning(s)", said)


def _folded(title: str, lines: list[str]) -> list[str]:
    return ["", f"<details><summary>{title}</summary>", "", *lines, *_END]


def _pool(name: str, before: Pool | None, after: Pool | None) -> list[str]:
    rows: dict[tuple[str, int], list[str]] = {}
    for side, pool in enumerate((before, after)):
        labels: list[str] = []
        for index, member in enumerate(pool.members if pool else ()):
            shares = pool.shares if pool else None
            # Members that are called alike have rows of their own.
            row = rows.setdefault((member.label, labels.count(member.label)), [""] * 5)
            labels.append(member.label)
            row[side * 2] = f"{member.priority} / {member.weight}"
            row[side * 2 + 1] = percent(shares[index]) if shares else "not known"
            if shares and side:
                row[4] = bar(float(shares[index]))
    return [
        "",
        f"**Pool {_text(name)}**" + ("" if after else " would be deleted"),
        "",
        "| region | priority / weight before | share | after | share | |",
        "|---|---|--:|---|--:|---|",
        *(
            f"| {_text(label)} | {' | '.join(cell or '-' for cell in cells[:4])} | {cells[4]} |"
            for (label, _), cells in rows.items()
        ),
    ]


def _change(change: Change) -> str:
    kind = change.type.rpartition(":")[2]
    sign = _SIGNS.get(change.operation) or _text(change.operation)
    properties = ", ".join(change.properties[:20])
    return f"| {sign} | {_text(kind)} | {_text(change.name)} | {_text(properties)} |"


def _costs(changes: tuple[Change, ...]) -> Iterator[str]:
    """List what costs; resources of one price are one line."""
    names: dict[str, list[str]] = {}
    for change in changes:
        if change.operation == "create" and (cost := costs.of(change.type, change.inputs)):
            names.setdefault(cost, []).append(change.name)
    for cost, those in names.items():
        yield f"- {_text(', '.join(those))}: {_text(cost)}"


def _lines(text: str) -> str:
    """Return a text of several lines as one item of a list."""
    return "- " + "<br>".join(map(_text, text.splitlines()[:50]))


def _text(text: str) -> str:
    """Return a text of anyone's making for one line: escaped, and of a bounded length."""
    text = text.strip()
    return escape(text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…")
