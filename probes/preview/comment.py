"""The comment on a pull request: the verdict first, then the pool, then what else would change."""

import difflib
from collections.abc import Collection, Iterator
from typing import Final

from components import guardrails
from components.traffic import percent
from probes.formats.markdown_text import bar, escape, fenced
from probes.preview import costs
from probes.preview.model import Change, PoolChange, Preview, is_told
from probes.preview.verdict import Verdict

MARKER: Final = "<!-- openai-gateway: where traffic will go -->"
"""The first line of the comment, by which a later run finds it."""
LIMIT: Final = 60_000
"""Characters; GitHub refuses comments of more than 65,536."""
_SIGNS: Final = {"create": "+", "update": "~", "delete": "-", "replace": "±"}
_LONGEST: Final = 300
"""Characters of one reason, name or line of an error."""
_REASONS: Final = 15
_POLICY_LINES: Final = 100
_HEAD: Final = 6
"""Lines before the first row of a section that has a table."""
_END: Final = ["", "</details>"]
"""What closes a folded section."""


def render(preview: Preview | None, verdict: Verdict, *, prices: bool = False) -> str:
    """Return the comment; None is a preview that could not be read."""
    lines = [
        MARKER,
        f"### {verdict.sign} {_text(verdict.sentence)}",
        "",
        *(
            line
            for each in verdict.goes_down[:_REASONS]
            for line in (f"**{_text(each, 3 * _LONGEST)}**", "")
        ),
        *(f"- {_text(reason)}" for reason in verdict.reasons[:_REASONS]),
    ]
    for how, line in verdict.accept:  # as code, to be copied as it is
        lines += ["", f"{how}:", *fenced([line], "yaml", 10 * _LONGEST)]
    cut: list[str] = []
    for what, of in (("resources that go down", verdict.goes_down), ("reasons", verdict.reasons)):
        if len(of) > _REASONS:
            cut.append(f"{len(of) - _REASONS} {what}")
    for title, section in _sections(preview, verdict.reasons, prices=prices) if preview else ():
        kept = _fitting(section, LIMIT - 2_000 - _length(lines))
        if len(kept) < len(section):
            cut.append(f"{len(section) - len(kept)} lines of {title}")
        lines += kept
    if cut:
        lines += ["", f"*Left out, as the comment would be too long: {', '.join(cut[:20])}.*"]
    return "\n".join(lines) + "\n"


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


def _sections(
    preview: Preview, reasons: Collection[str], *, prices: bool
) -> Iterator[tuple[str, list[str]]]:
    """Give each section with what it is called when some of it is left out."""
    for pool in preview.pools:
        yield "the pool", _pool(pool, preview)
    if broken := _violations(preview):
        yield "the policy violations", ["", "**Policy violations**", "", *broken]
    told = {*reasons}
    told |= {
        f"[mandatory] {each.rule}: {each.resource.name}: {each.message}"
        for each in preview.violations
    }
    errors = [each for each in preview.explained if not {each, *each.splitlines()} & told]
    if errors:
        yield "the errors", _folded(f"{len(errors)} error(s)", list(map(_lines, errors)))
    if preview.counts and not preview.failures:
        counted = ", ".join(f"{n} to {_text(op)}" for op, n in sorted(preview.counts.items()))
        yield "the counts", ["", f"**Resources:** {counted.replace('to same', 'unchanged')}"]
    if any(each.operation == "create" for each in preview.changes):
        added = costs.lines(preview.changes, ask=prices)
        yield "the costs", ["", "**Costs of what is added**", "", *added]
    for change in preview.changes:
        if diff := _policy(change):
            yield "the policy", diff
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


def _violations(preview: Preview) -> list[str]:
    """List the broken rules, each with the resources of which it says the same."""
    broken: dict[tuple[str, str], list[str]] = {}
    for each in preview.violations:
        broken.setdefault((each.rule, each.message), []).append(each.resource.name)
    return [
        f"- {_text(rule)}: {_text(', '.join(names))}: {_text(message)}"
        for (rule, message), names in broken.items()
    ]


def _folded(title: str, lines: list[str]) -> list[str]:
    return ["", f"<details><summary>{title}</summary>", "", *lines, *_END]


def _pool(pool: PoolChange, preview: Preview) -> list[str]:
    """Return the table of a pool: what a refresh found has columns where it is not `before`."""
    sides = [side for side in ("before", "live", "after") if side != "live" or pool.live]
    labels = {side: preview.labels(side) for side in sides}
    rows: dict[tuple[str, int], dict[str, tuple[str, str]]] = {}
    bars: dict[tuple[str, int], str] = {}
    for side in sides:
        found = getattr(pool, side)
        names = [member.name for member in found.members] if found else []
        for index, member in enumerate(found.members if found else ()):
            # A member that is there twice has two rows.
            row = (member.name, names[:index].count(member.name))
            share = percent(found.shares[index]) if found.shares else "not known"
            numbers = f"{member.priority} / {member.weight}"
            rows.setdefault(row, {})[side] = (numbers, share)
            if found.shares and side == "after":
                bars[row] = bar(float(found.shares[index]))
    heads = " ".join(f"{side} | share |" for side in sides)
    return [
        "",
        f"**Pool {_text(pool.name)}**" + ("" if pool.after else " would be deleted"),
        "",
        f"| region | priority / weight {heads} |",
        f"|---|{'---|--:|' * len(sides)}---|",
        *(
            f"| {_text(_called(row[0], labels, cells))} | "
            + " | ".join(cell for side in sides for cell in cells.get(side, ("-", "-")))
            + f" | {bars.get(row, '-')} |"
            for row, cells in rows.items()
        ),
    ]


def _called(name: str, labels: dict[str, dict[str, str]], cells: Collection[str]) -> str:
    """Return what a member is called after the change, and what before where that differs."""
    was, will = (labels[side].get(name, name) for side in ("before", "after"))
    if "before" in cells and "after" in cells and was != will:
        return f"{will}, was {was}"
    return will if "after" in cells else was


def _policy(change: Change) -> list[str]:
    """Return the lines of a policy that change, with those around them."""
    was, will = ((side or {}).get("value") for side in (change.before, change.after))
    if change.type != guardrails.POLICY or not is_told(was) or not is_told(will):
        return []
    diff = list(difflib.unified_diff(was.splitlines(), will.splitlines(), n=2, lineterm=""))[2:]
    count = sum(line.startswith(("+", "-")) for line in diff)
    return _folded(f"{count} line(s) of a policy", fenced(diff[:_POLICY_LINES], "diff", _LONGEST))


def _change(change: Change) -> str:
    kind = change.type.rpartition(":")[2]
    sign = _SIGNS.get(change.operation) or _text(change.operation)
    properties = ", ".join(change.properties[:20])
    return f"| {sign} | {_text(kind)} | {_text(change.name)} | {_text(properties)} |"


def _lines(text: str) -> str:
    """Return a text of several lines as one item of a list."""
    return "- " + "<br>".join(map(_text, text.splitlines()[:50]))


def _text(text: str, longest: int = _LONGEST) -> str:
    """Return a text of anyone's making for one line: escaped, and of a bounded length."""
    text = text.strip()
    return escape(text if len(text) <= longest else f"{text[: longest - 1]}…")
