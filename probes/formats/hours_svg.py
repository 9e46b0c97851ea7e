"""The hours of the log as a picture: a row for each region, a bar for each hour's share."""

import textwrap
from datetime import datetime
from html import escape

from probes.formats.svg_format import MARGIN, STYLE, WIDTH, legend, rect, text
from probes.hours import Hours
from probes.report import Report

_ROW, _HIGH = 74, 48


def render(report: Report) -> str:
    """Return a standalone SVG; hours in which nobody asked are left blank. Raises ValueError."""
    if not report.hours:
        raise ValueError("a report without hours has no picture of them")
    told = report.silences or [f"{report.words}: {'; '.join(report.reasons)}"]
    heads = [line for each in told for line in textwrap.wrap(each, 92, max_lines=3)]
    left, top = 2 * MARGIN + 8 * max(map(len, report.outputs.regions.values())), 54
    top += 20 * len(heads)
    span = WIDTH - left - MARGIN
    parts = [text(MARGIN, 34, f"Requests of the last {report.window} by hour", "title")]
    parts += [text(MARGIN, 56 + 20 * line, words, "muted") for line, words in enumerate(heads)]
    silent = {each.backend: each.since for each in report.hours.silences}
    for row, (name, region) in enumerate(report.outputs.regions.items()):
        y = top + _ROW * row
        parts.append(text(MARGIN, y + _HIGH, region))
        parts += _bars(report.hours, name, (left, y, span), silent.get(name))
        line = y + _HIGH * (1 - report.plan.shares[name])
        parts.append(rect("expected", (left, line, span, 1), "expected share"))
    foot = top + _ROW * len(report.outputs.regions)
    if report.hours.each:
        begin, end = (f"{report.hours.each[n].begin:%Y-%m-%d %H:%M} UTC" for n in (0, -1))
        parts += [text(left, foot, begin, "muted")]
        parts.append(text(left + span - 7.5 * len(end), foot, end, "muted"))
    words = {"share": "share of the hour's answers", "over": "silent", "expected": "expected"}
    parts += legend(left, foot + 26, {k: w for k, w in words.items() if k != "over" or silent})
    height = foot + 44
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"'
    head = f'{svg} aria-label="{escape("; ".join(told))}">\n<style>{STYLE}\n</style>'
    return "\n".join([head, rect("page", (0, 0, WIDTH, height)), *parts, "</svg>\n"])


def _bars(hours: Hours, name: str, area: tuple[int, int, int], since: datetime | None) -> list[str]:
    if not hours.each:
        return []
    left, top, span = area
    first = hours.each[0].begin
    number = (hours.each[-1].begin - first).total_seconds() / 3600 + 1
    width = span / number
    bars = []
    for hour in hours.each:
        x = left + width * (hour.begin - first).total_seconds() / 3600
        share, is_silent = hour.share(name), bool(since and hour.begin >= since)
        title = f"{hour.begin:%Y-%m-%d %H:%M}: {hour.answered[name]} of {hour.total} answers"
        high = max(_HIGH * share, 4 if is_silent else 0)
        bars.append(rect("track", (x, top, 0.9 * width, _HIGH)))
        box = (x, top + _HIGH - high, 0.9 * width, high)
        bars.append(rect("over" if is_silent else "share", box, title))
    return bars
