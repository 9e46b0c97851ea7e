"""The report as Markdown: for a pull request, a job summary or an incident's log."""

from probes.formats.markdown_text import bar, escape
from probes.formats.text import MARKS
from probes.report import Report


def render(report: Report) -> str:
    lines = [f"### Traffic: {report.words}", ""]
    lines += [f"{escape(reason)}." for reason in report.reasons]
    lines += [f"{escape(told)}." for told in report.silences]
    if report.next_step:
        lines += ["", f"**Next:** {escape(report.next_step)}."]
    times = ("average",) if report.window else ("p50", "p95")
    lines += [
        "",
        f"| region | backend | answers | share | expected | | {' | '.join(times)} | refused |",
        f"|---|---|--:|--:|--:|---|{'--:|' * len(times)}---|",
    ]
    for backend in report.outputs.backends:
        name = backend.id
        latency = report.latency(name)
        took = " | ".join(f"{latency[p]:.2f} s" if latency else "-" for p in times)
        refused = ", ".join(f"{n} {what}" for what, n in report.tally.refusals[name].items())
        lines.append(
            f"| {escape(backend.region)} | {escape(name)} | {report.tally.answered[name]} "
            f"| {report.percent(name)} | {100 * report.plan.shares[name]:.1f} % "
            f"| {bar(report.share(name))} | {took} | {refused or '-'} |"
        )
    lines += ["", "| | criterion | |", "|---|---|---|"]
    lines += [
        f"| {MARKS[c.passed]} | {escape(c.name)}{'' if c.required else ' (not required)'} "
        f"| {escape(c.detail)} |"
        for c in report.criteria
    ]
    spent = f"{report.tally.requests} requests, {report.tokens} tokens"
    if report.window:
        spent = (
            f"{report.tally.requests} requests in the log of the last {report.window}, none sent"
        )
    lines += ["", f"{spent}, {report.duration:.1f} s, {report.started:%Y-%m-%d %H:%M} UTC"]
    return "\n".join(lines) + "\n"
