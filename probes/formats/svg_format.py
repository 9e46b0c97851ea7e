"""The report as a picture: each region's share beside its expectation, each request over time."""

from html import escape

from probes.report import Report
from probes.tally import Answer

_WIDTH, _LEFT, _ROW, _RIGHT = 720, 150, 34, 90
_STYLE = """
  svg { font: 14px system-ui, sans-serif } .page { fill: #ffffff }
  text { fill: #1f2328 } .muted { fill: #59636e } .title { font-size: 17px; font-weight: 600 }
  .track { fill: #eaeef2 } .share { fill: #0969da } .over { fill: #cf222e }
  .expected { stroke: #1f2328; stroke-width: 2 } .axis { stroke: #d1d9e0 }
  .answered { fill: #0969da } .throttled { fill: #bf8700 }
  .failed, .denied, .unattributed { fill: #cf222e }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117 } text { fill: #f0f6fc } .muted { fill: #9198a1 }
    .track { fill: #21262d } .share, .answered { fill: #4493f8 } .throttled { fill: #d29922 }
    .over, .failed, .denied, .unattributed { fill: #f85149 }
    .expected { stroke: #f0f6fc } .axis { stroke: #3d444d }
  }"""


def render(report: Report) -> str:
    """Return a standalone SVG that is legible on light and on dark pages."""
    names = list(report.outputs.regions)
    span = _WIDTH - _LEFT - _RIGHT
    timeline = 92 + _ROW * len(names) + 30
    height = timeline + 20 * (len(names) + 1) + 44
    condemned = {trial.backend for trial in report.proved}
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img"'
            f' aria-label="{escape(report.sentence)}">'
        ),
        f"<style>{_STYLE}\n</style>",
        f'<rect class="page" width="{_WIDTH}" height="{height}"/>',
        _text(20, 34, f"Traffic: {report.words}", "title"),
        _text(20, 56, _clip(report.reasons[0]), "muted"),
    ]
    for row, name in enumerate(names):
        y = 76 + _ROW * row
        share, expected = report.share(name), report.plan.shares[name]
        kind = "over" if name in condemned else "share"
        bar, mark = span * share, _LEFT + span * expected
        parts += [
            _text(20, y + 16, report.outputs.regions[name]),
            f'<rect class="track" x="{_LEFT}" y="{y}" width="{span}" height="22" rx="3"/>',
            f'<rect class="{kind}" x="{_LEFT}" y="{y}" width="{bar:.1f}" height="22" rx="3"/>',
            f'<line class="expected" x1="{mark:.1f}" x2="{mark:.1f}" y1="{y - 3}" y2="{y + 25}"/>',
            _text(_WIDTH - _RIGHT + 10, y + 16, report.percent(name)),
        ]
    parts += _timeline(report, names, timeline, span)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _timeline(report: Report, names: list[str], top: int, span: int) -> list[str]:
    """Draw one bar a request in its region's row; those no region answered have the last row."""
    end = max((a.started + a.seconds for a in report.tally.answers), default=0) or 1.0
    rows = {name: row for row, name in enumerate(names)}
    parts = [_text(20, top, "Requests over time, | is the expected share", "muted")]
    for name, row in rows.items():
        parts.append(_text(20, top + 24 + 20 * row, report.outputs.regions[name]))
    by_row: dict[int, list[Answer]] = {}
    for answer in sorted(report.tally.answers, key=lambda answer: answer.started):
        by_row.setdefault(rows.get(answer.backend or "", len(names)), []).append(answer)
    for row, answers in by_row.items():
        lanes = _lanes(answers)
        pitch = min(4.0, 18 / (max(lanes) + 1))
        for answer, lane in zip(answers, lanes, strict=True):
            x, width = _LEFT + span * answer.started / end, span * answer.seconds / end
            y = top + 12 + 20 * row + pitch * lane
            parts.append(
                f'<rect class="{answer.outcome}" x="{x:.1f}" y="{y:.1f}" '
                f'width="{max(width, 2):.1f}" height="{0.75 * pitch:.1f}">'
                f"<title>{answer.outcome}, {answer.seconds:.2f} s</title></rect>"
            )
    foot = top + 20 * (len(names) + 1) + 20
    parts += [
        f'<line class="axis" x1="{_LEFT}" x2="{_LEFT + span}" y1="{foot - 10}" y2="{foot - 10}"/>',
        _text(_LEFT, foot + 8, "0 s", "muted"),
        _text(_LEFT + span - 30, foot + 8, f"{end:.2f} s", "muted"),
    ]
    return parts


def _lanes(answers: list[Answer]) -> list[int]:
    """Return a lane for each request, in order of start: those under way at once lie apart."""
    free_at: list[float] = []
    lanes = []
    for answer in answers:
        free = (lane for lane, end in enumerate(free_at) if end <= answer.started)
        lane = next(free, len(free_at))
        free_at[lane:] = [answer.started + answer.seconds, *free_at[lane + 1 :]]
        lanes.append(lane)
    return lanes


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    attribute = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.0f}" y="{y:.0f}"{attribute}>{escape(text)}</text>'


def _clip(text: str) -> str:
    return text if len(text) <= 96 else f"{text[:95]}…"
