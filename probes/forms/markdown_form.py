"""The report as Markdown: for a pull request, a job summary or an incident's log."""

from probes.report import WORDS, Report

_MARKS = {True: "✓", False: "✗", None: "?"}
_BAR = 20


def render(report: Report) -> str:
    """Return the verdict first, then the shares with bars, then the criteria."""
    lines = [f"### Traffic is {WORDS[report.verdict]}", ""]
    if report.verdict == "inconclusive":
        lines[0] = "### Traffic: inconclusive"
    lines += [f"{_cell(reason)}." for reason in report.reasons]
    if report.next_step:
        lines += ["", f"**Next:** {_cell(report.next_step)}."]
    lines += [
        "",
        "| region | backend | answers | share | expected | | p50 | p95 | refused |",
        "|---|---|--:|--:|--:|---|--:|--:|---|",
    ]
    for backend in report.stack.backends:
        name = backend.name
        latency = report.latency(name)
        p50, p95 = (f"{latency[p]:.2f} s" if latency else "-" for p in ("p50", "p95"))
        refused = ", ".join(f"{n} {what}" for what, n in report.tally.refusals[name].items())
        filled = round(_BAR * report.share(name))
        lines.append(
            f"| {_cell(backend.region)} | {_cell(name)} | {report.tally.answered[name]} "
            f"| {report.percent(name)} | {100 * report.plan.shares[name]:.1f} % "
            f"| `{'█' * filled}{'░' * (_BAR - filled)}` | {p50} | {p95} | {refused or '-'} |"
        )
    lines += ["", "| | criterion | |", "|---|---|---|"]
    lines += [
        f"| {_MARKS[c.passed]} | {_cell(c.name)}{'' if c.required else ' (not required)'} "
        f"| {_cell(c.detail)} |"
        for c in report.criteria
    ]
    spent = f"{len(report.tally.answers)} requests, {report.tally.tokens} tokens"
    lines += ["", f"{spent}, {report.duration:.1f} s, {report.started:%Y-%m-%d %H:%M} UTC"]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """Return a text of anyone's making that cannot leave its place in the document."""
    for character in "\\|<[*_":
        text = text.replace(character, f"\\{character}")
    return text
