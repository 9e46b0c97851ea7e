"""The comment on a pull request: the verdict first, then the pool, then what else would change."""

import difflib
from collections.abc import Collection, Iterator, Sequence
from itertools import accumulate
from typing import Final

from components import guardrails
from components.traffic import is_told, percent
from probes.formats.markdown_text import bar, escape, fenced
from probes.preview.model import SIDES, Change, PoolChange, Preview
from probes.preview.verdict import Verdict

MARKER: Final = "<!-- openai-gateway: where traffic will go -->"  # by which a later run finds it
FORK_MARKER: Final = "<!-- openai-gateway: what a fork says of itself -->"
LIMIT: Final = 60_000  # characters; GitHub refuses comments of more than 65,536
_SIGNS: Final = {"create": "+", "update": "~", "delete": "-", "replace": "±"}
_LONGEST: Final = 300  # characters of one reason, name or line of an error
_REASONS: Final = 15
_ROOM: Final = 15_000  # characters for what stands below the reasons
_POLICY_LINES: Final = 100
_HEAD: Final = 6  # lines before the first row of a section that has a table
_PRICE_PAGE: Final = "https://azure.microsoft.com/pricing"
_MONITOR: Final = f"[Azure Monitor prices]({_PRICE_PAGE}/details/monitor/)"
_PRICES: Final = {
    guardrails.SERVICE: f"[API Management prices]({_PRICE_PAGE}/details/api-management/)",
    "azure-native:cognitiveservices:Deployment": "by the tokens used, nothing while idle: "
    f"[Azure OpenAI prices]({_PRICE_PAGE}/details/cognitive-services/openai-service/)",
    "azure-native:operationalinsights:Workspace": f"by what is logged, {_MONITOR}",
    guardrails.ALERT: f"each by how often it looks, {_MONITOR}",
}
_END: Final = ["", "</details>"]  # of a folded section


def render(preview: Preview | None, verdict: Verdict, marker: str = MARKER) -> str:
    """Return the comment; None is a preview that could not be read."""
    lines = [
        marker,
        f"### {verdict.sign} {_text(verdict.sentence)}",
        "",
        *(f"**{_text(each, 3 * _LONGEST)}**\n" for each in verdict.goes_down[:_REASONS]),
        *(f"- {_text(reason)}" for reason in verdict.reasons[:_REASONS]),
    ]
    while _length(lines) > LIMIT - _ROOM:  # escaped, a text can be ten times as long
        lines.pop()
    for how, line in verdict.accept:  # as code, to be copied as it is
        lines += ["", f"{how}:", *fenced([line], "yaml", 10 * _LONGEST)]
    said = {"resources that go down": verdict.goes_down, "reasons": verdict.reasons}
    cut = [f"{len(of) - _REASONS} {what}" for what, of in said.items() if len(of) > _REASONS]
    for title, section in _sections(preview, verdict.reasons[:_REASONS]) if preview else ():
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
    end = _END if section[-1:] == _END[-1:] else []
    body = section[: len(section) - len(end)]
    ends = accumulate(len(line) + 1 for line in body)
    kept = body[: sum(at <= room - _length(end) for at in ends)]
    # The head of a table without a row says nothing.
    return [*kept, *end] if len(kept) > _HEAD else []


def _sections(preview: Preview, reasons: Collection[str]) -> Iterator[tuple[str, list[str]]]:
    """Give each section with what it is called when some of it is left out."""
    for pool in preview.pools:
        yield "the pool", _pool(pool, preview)
    if preview.follows:
        where = "what continues a response goes to the region that has it; shares are of the others"
        yield "the conversations", ["", f"**Conversations:** {where}"]
    yield "the alarm", _alarm(preview)
    broken = preview.violations
    names: dict[tuple[str, str], list[str]] = {}
    for each in broken:
        names.setdefault((each.rule, each.message), []).append(each.resource.name)
    items = [
        f"- {_text(rule)}: {_text(', '.join(of))}: {_text(message)}"
        for (rule, message), of in names.items()
    ]
    yield "the policy violations", _titled("Policy violations", items)
    told = {f"[mandatory] {each.rule}: {each.resource.name}: {each.message}" for each in broken}
    told |= {"", *reasons}
    errors = [e for e in preview.explained if not {ln.strip() for ln in e.splitlines()} <= told]
    yield "the errors", _folded(f"{len(errors)} error(s)", [*map(_lines, errors)])
    if preview.counts and not preview.failures:
        counted = ", ".join(f"{n} to {_text(op)}" for op, n in sorted(preview.counts.items()))
        yield "the counts", ["", f"**Resources:** {counted.replace('to same', 'unchanged')}"]
    changes = preview.changes
    yield "the costs", _titled("Costs of what is added", _costs(changes))
    yield from (("the policy", _policy(change)) for change in changes)
    head = ["| | type | name | properties |", "|---|---|---|---|"] if changes else []
    yield "the changes", _folded(f"{len(changes)} change(s)", [*head, *map(_change, changes)])
    said = [*map(_lines, preview.warnings)]
    yield "the warnings", _folded(f"{len(said)} warning(s)", said)


def _costs(changes: Sequence[Change]) -> list[str]:
    added = [each for each in changes if each.operation == "create"]
    names: dict[str, list[str]] = {}
    for change in added:
        if page := _PRICES.get(change.type, ""):
            tier, units = change.sku
            is_service = change.type == guardrails.SERVICE
            page = f"{_text(f'{units} × {tier}')}, {page}" if is_service else page
            names.setdefault(page, []).append(change.name)
    found = [f"- {_text(', '.join(those))}: {page}" for page, those in names.items()]
    others = f"- what else is added: [price calculator]({_PRICE_PAGE}/calculator/)"
    return [*found, others] if added else []


def _alarm(preview: Preview) -> list[str]:
    """Say who would hear of a starved region; of a preview that has no pool, nothing."""
    rules, heard = preview.alarm
    if preview.failures or not any("after" in pool.sides for pool in preview.pools):
        return []
    said = "none" + (", as declared: `monitoring` is `null`" if preview.is_unwatched else "")
    if rules:
        said = f"{rules} rule{'s' * (rules > 1)}, "
        nobody = "which nobody hears: set `monitoring.alertEmails`"
        said += f"heard by {_text(', '.join(heard))}" if heard else nobody
    return ["", f"**Alarm:** {said}"]


def _titled(title: str, lines: list[str]) -> list[str]:
    return ["", f"**{title}**", "", *lines] if lines else []


def _folded(title: str, lines: list[str]) -> list[str]:
    return ["", f"<details><summary>{title}</summary>", "", *lines, *_END] if lines else []


def _pool(pool: PoolChange, preview: Preview) -> list[str]:
    """Return the table of a pool: what a refresh found has columns where it is not `before`."""
    sides = [side for side in SIDES if side != "live" or side in pool.sides]
    labels = {side: preview.labels(side, pool.stack) for side in sides}
    rows: dict[tuple[str, int], dict[str, str]] = {}
    bars: dict[tuple[str, int], str] = {}
    for side, found in pool.sides.items():
        names = [member.name for member in found.members]
        for index, member in enumerate(found.members):
            # A member that is there twice has two rows.
            row = (member.name, names[:index].count(member.name))
            share = percent(found.shares[index]) if found.shares else "not known"
            cells = f"{member.priority} / {member.weight} | {share}"
            rows.setdefault(row, {})[side] = cells
            if found.shares and side == "after":
                bars[row] = bar(float(found.shares[index]))
    told = {"before": "declared"} if "live" in sides else {}  # the state is what was deployed
    heads = " ".join(f"{told.get(side, side)} | share |" for side in sides)
    return [
        "",
        f"**Pool {_text(pool.name)}**" + ("" if "after" in pool.sides else " would be deleted"),
        "",
        f"| region | priority / weight {heads} |",
        f"|---|{'---|--:|' * len(sides)}---|",
        *(
            f"| {_text(_called(row[0], labels, cells))} | "
            + " | ".join(cells.get(side, "- | -") for side in sides)
            + f" | {bars.get(row, '-')} |"
            for row, cells in rows.items()
        ),
    ]


def _called(name: str, labels: dict[str, dict[str, str]], cells: Collection[str]) -> str:
    was, will = (labels[side].get(name, name) for side in ("before", "after"))
    if "before" in cells and "after" in cells and was != will:
        return f"{will}, was {was}"
    return will if "after" in cells else was


def _policy(change: Change) -> list[str]:
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
    return "- " + "<br>".join(map(_text, text.splitlines()[:50]))


def _text(text: str, longest: int = _LONGEST) -> str:
    """Return a text of anyone's making for one line: escaped, and of a bounded length."""
    text = text.strip()
    return escape(text if len(text) <= longest else f"{text[: longest - 1]}…")
