"""The report as a picture: each region's share beside its expectation, each request over time."""

import textwrap
from collections.abc import Iterator
from html import escape

from probes.report import Report
from probes.tally import Answer

WIDTH, MARGIN, _ROW, _THIN = 720, 20, 34, 20
_KINDS = {"answered": "answered", "throttled": "throttled", "failed": "failed or not counted"}
STYLE = """
  svg { font: 14px system-ui, sans-serif } .page { fill: #ffffff }
  text { fill: #1f2328 } .muted { fill: #59636e } .title { font-size: 17px; font-weight: 600 }
  .track { fill: #eaeef2 } .share, .answered { fill: #0969da } .throttled { fill: #bf8700 }
  .over, .failed { fill: #cf222e } .expected { fill: #1f2328 } .axis { fill: #d1d9e0 }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117 } text { fill: #f0f6fc } .muted { fill: #9198a1 }
    .track { fill: #21262d } .share, .answered { fill: #4493f8 } .throttled { fill: #d29922 }
    .over, .failed { fill: #f85149 } .expected { fill: #f0f6fc } .axis { fill: #3d444d }
  }"""


def render(report: Report) -> str:
    """Return a standalone SVG that is legible on light and on dark pages."""
    regions = {
        n: textwrap.shorten(r, 24, placeholder="…") for n, r in report.outputs.regions.items()
    }
    left = 2 * MARGIN + 8 * max(map(len, regions.values()))
    span = WIDTH - left - 80
    reasons = textwrap.wrap("; ".join(report.reasons), 92, max_lines=4, placeholder=" …")
    top = 54 + 20 * len(reasons)
    parts = [text(MARGIN, 34, f"Traffic: {report.words}", "title")]
    parts += [text(MARGIN, 56 + 20 * line, words, "muted") for line, words in enumerate(reasons)]
    parts += _shares(report, regions, (left, top, span))
    top += _ROW * len(regions)
    kinds = {"share": "share of the answers", "over": "proved to be off", "expected": "expected"}
    kinds = {kind: word for kind, word in kinds.items() if kind != "over" or report.proved}
    parts += legend(left, top + 16, kinds)
    timeline: list[str] = []
    height = top + 36
    if not report.window:  # a log has counts alone
        timeline, height = _timeline(report, regions, (left, top + 48, span))
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"'
    head = f'{svg} aria-label="{escape(report.sentence)}">\n<style>{STYLE}\n</style>'
    page = rect("page", (0, 0, WIDTH, height))
    return "\n".join([head, page, *parts, *timeline, "</svg>\n"])


def _shares(report: Report, regions: dict[str, str], area: tuple[int, int, int]) -> Iterator[str]:
    left, top, span = area
    condemned = {trial.backend for trial in report.proved}
    for row, (name, region) in enumerate(regions.items()):
        y, kind = top + _ROW * row, "over" if name in condemned else "share"
        yield text(MARGIN, y + 16, region)
        width = max(span * report.share(name), 4 if kind == "over" else 0)
        yield rect("track", (left, y, span, 22))
        yield rect(kind, (left, y, width, 22))
        yield rect("expected", (left + span * report.plan.shares[name] - 1, y - 3, 2, 28))
        yield text(left + span + 12, y + 16, report.percent(name))


def _timeline(
    report: Report, regions: dict[str, str], area: tuple[int, int, int]
) -> tuple[list[str], int]:
    """Draw a bar per request in its region's row, those no region answered in the last one."""
    left, top, span = area
    end = max((a.started + a.seconds for a in report.tally.answers), default=0) or 1.0
    by_row: dict[str, list[Answer]] = {name: [] for name in regions}
    for answer in sorted(report.tally.answers, key=lambda answer: answer.started):
        by_row.setdefault(answer.backend or "", []).append(answer)
    parts = [text(MARGIN, top, "Requests over time", "muted")]
    for row, (name, answers) in enumerate(by_row.items()):
        y = top + 12 + _THIN * row
        parts.append(text(MARGIN, y + 12, regions.get(name, "no region")))
        lanes = _lanes(answers)
        pitch = min(4.0, (_THIN - 2) / (max(lanes, default=0) + 1))
        for answer, lane in zip(answers, lanes, strict=True):
            x, width = left + span * answer.started / end, span * answer.seconds / end
            box = x, y + pitch * lane, max(width, 2), 0.75 * pitch
            title = f"{answer.outcome}, {answer.seconds:.2f} s"
            parts.append(rect(_kind(answer), box, title))
    foot = top + 16 + _THIN * len(by_row)
    seconds = f"{end:.2f} s"
    parts += [rect("axis", (left, foot, span, 1)), text(left, foot + 18, "0 s", "muted")]
    parts.append(text(left + span - 7 * len(seconds), foot + 18, seconds, "muted"))
    kinds = {_kind(answer) for answer in report.tally.answers}
    parts += legend(left, foot + 40, {k: word for k, word in _KINDS.items() if k in kinds})
    return parts, foot + 56


def legend(x: float, y: float, words: dict[str, str]) -> Iterator[str]:
    for kind, word in words.items():
        width = 2 if kind == "expected" else 12
        yield rect(kind, (x, y - 10, width, 12))
        yield text(x + width + 6, y, word, "muted")
        x += width + 26 + 7.5 * len(word)


def _kind(answer: Answer) -> str:
    return answer.outcome if answer.outcome in _KINDS else "failed"


def _lanes(answers: list[Answer]) -> list[int]:
    """Return a lane for each request, in order of start: those under way at once lie apart."""
    free_at: list[float] = []
    lanes = []
    for answer in answers:
        free = (lane for lane, end in enumerate(free_at) if end <= answer.started)
        lanes.append(next(free, len(free_at)))
        free_at[lanes[-1] : lanes[-1] + 1] = [answer.started + answer.seconds]
    return lanes


def rect(kind: str, box: tuple[float, float, float, float], title: str = "") -> str:
    x, y, width, height = (f"{each:.1f}" for each in box)
    end = f"><title>{escape(title)}</title></rect>" if title else "/>"
    return f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}"{end}'


def text(x: float, y: float, words: str, kind: str = "") -> str:
    attribute = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.0f}" y="{y:.0f}"{attribute}>{escape(words)}</text>'
